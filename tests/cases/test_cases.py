"""Small inputs that users really have, each in a folder of its own: the right answer, read back from what is published.

``dup_slice`` is not here: its answer is about the stages behind the raw slice.
"""

import tomllib
from pathlib import Path

import pytest

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import DataError, from_dict
from assets_data.sources.config import SourceConfig
from assets_data.sources.sources import slice_names

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/own.toml"))
SIXTY = [f"Row number {n} tells of a mountain and its {7 * n % 31} paths, and of the lake below." for n in range(1, 61)]
THIRTY = [f"Row number {n} tells of a mountain and its {7 * n % 31} paths." for n in range(30)]

BOATS = [f"Line number {n} speaks of the river and the {7 * n % 31} boats on it." for n in range(30)]


def source_of(case, **changes):
    """The case's own settings, with ``extract`` and ``files`` of ``changes`` on top."""
    settings = tomllib.loads((HERE / case / "own.toml").read_text())["raw_slice"]
    settings["files"]["root"] = str(HERE / case / "in")
    merged = {name: {**settings.get(name, {}), **changes.get(name, {})} for name in {*settings, *changes} - {"source"}}
    return from_dict(SourceConfig, {"source": "files", **merged})


def read_back(store, case, **changes):
    """Every slice of a case as published: texts in order, and the sums of parts.json; both receipts must agree."""
    config = source_of(case, **changes)
    raws = [make_raw_slice(store, name, config) for name in slice_names(config)]
    rows = [row for raw in raws for row in raw.table("records.parquet").to_pylist()]
    parts = [part for raw in raws for part in raw.read_json("parts.json")["parts"]]
    for part in parts:
        assert part["records"] == sum(row["part"] == part["origin"] for row in rows)
    return raws, rows, {name: sum(part[name] for part in parts) for name in ("records", "missing", "malformed")}


def kept(records, **left_out):
    return {"records": records, "missing": 0, "malformed": 0, **left_out}


@pytest.mark.parametrize(
    ("case", "changes", "texts"),
    [
        ("arrow_stream", {}, None),
        ("bom", {}, SIXTY),
        ("c4_json_gz", {}, SIXTY),
        ("columns_json", {}, ["row one of the columns", "row two is lost", "row three is lost"]),
        ("empty_part", {}, SIXTY),
        ("hidden_files", {}, SIXTY),
        ("multi_member", {}, SIXTY),
        ("ns_timestamp", {}, THIRTY),
        ("split_null", {}, ["a text that is here"]),
        ("upper_ext", {}, SIXTY),
        ("zst_long", {"files": {"max_window_bytes": 1 << 28}}, BOATS),
    ],
)
def test_every_row_arrives(store, case, changes, texts):
    _, rows, counts = read_back(store, case, **changes)
    found = [row["text"] for row in rows]
    assert len(set(found)) == len(found) == 30 if texts is None else found == texts
    assert counts == kept(len(found))


def test_every_case_is_tested():
    named = Path(__file__).read_text()
    assert len(CASES) == 13 and all(f'"{case}"' in named for case in CASES)


def test_a_mark_is_no_content_and_origins_lead_to_the_bytes(store):
    _, rows, _ = read_back(store, "bom")
    data = (HERE / "bom" / "in" / "a.jsonl").read_bytes()
    assert rows[0]["origin"] == "a.jsonl#line:1,byte:3"
    for row in rows:
        byte = int(row["origin"].rpartition(":")[2])
        assert data[byte:].startswith(b'{"text":"' + row["text"].encode())


def test_an_empty_file_is_counted_and_named_and_its_slice_is_valid(store):
    raws, _, _ = read_back(store, "empty_part")
    empty = [raw for raw in raws if raw.stats.get("empty_parts")]
    assert [raw.stats["empty"] for raw in empty] == [["a.jsonl"]]
    for raw in raws:
        raw.verify(deep=True)


def test_hidden_files_are_left_out_unless_asked_for_and_said(store):
    raws, _, _ = read_back(store, "hidden_files")
    name = ".ipynb_checkpoints/a-checkpoint.jsonl"
    assert raws[0].stats["left_out_of_source"] == {"hidden": {"count": 1, "first": [name]}}
    _, rows, _ = read_back(store, "hidden_files", files={"patterns": ["*.jsonl", ".ipynb*/*.jsonl"]})
    assert len(rows) == 61 and name in {row["part"] for row in rows}


def test_a_list_is_joined_and_no_element_is_lost(store):
    _, rows, counts = read_back(store, "list_first")
    assert [row["text"] for row in rows] == [
        "first paragraph of the document, kept here\n\nsecond paragraph, lost\n\nthird, lost"
    ]
    assert counts == kept(1)


def test_what_is_no_number_is_missing_as_null_is(store):
    with pytest.raises(DataError) as error:
        read_back(store, "nan_text")
    assert (error.value.code, error.value.where) == ("ROW_NO_TEXT", "a.jsonl:61")
    _, rows, counts = read_back(store, "nan_text", extract={"skip_missing": True})
    assert [row["text"] for row in rows] == SIXTY and counts == kept(60, missing=1)


def test_a_row_whose_split_is_null_has_its_split_drawn(store):
    _, rows, _ = read_back(store, "split_null")
    assert [row["split"] for row in rows] == [""]


def test_a_window_over_the_setting_is_refused_naming_both(store):
    with pytest.raises(DataError, match=r"268,435,456 bytes.*max_window_bytes") as error:
        read_back(store, "zst_long")
    assert error.value.code == "UNPACK_WINDOW"
