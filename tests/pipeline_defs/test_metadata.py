"""What the UI is given: complete, and with data shown as text, never rendered."""

import re
import string

import dagster as dg
import pyarrow as pa
import pytest

from assets_data.lineage import Snapshot
from pipeline_defs.dagster import metadata
from pipeline_defs.dagster.metadata import describe, escape, markdown_table, published, report_tables
from tests.assets_data.lineage.stages import CountConfig, make_counts


def test_every_fact_the_field_expects_is_there(store):
    parent = make_counts(store, CountConfig(rows=2))
    snapshot = make_counts(store, CountConfig(), parents=[parent])
    facts = describe(snapshot)
    assert facts["id"] == snapshot.id and facts["rows"] == 100 and facts["bytes"] == snapshot.bytes
    assert facts["parents"].data == [["upstream=test/counts", parent.id]]
    assert facts["config"].data == {"rows": 100, "start": 0}
    assert facts["receipt"].path == str(snapshot.receipt)
    assert {"commit", "dirty", "duration_s", "rows_per_s", "preview", "reused"} <= set(facts)
    assert "| value |" in facts["preview"].md_str
    assert facts["dagster/row_count"] == 100 and [c.name for c in facts["dagster/column_schema"].columns] == ["value"]
    assert facts["dagster/uri"] == snapshot.path.as_uri()
    assert published(snapshot, {}).data_version == dg.DataVersion(snapshot.id)


def test_of_thousands_of_parents_the_first_are_shown_and_the_others_counted(store, monkeypatch):
    parents = [make_counts(store, CountConfig(rows=rows)) for rows in (2, 3, 4)]
    snapshot = make_counts(store, CountConfig(), parents=parents)
    shown = [["upstream=test/counts", parent.id] for parent in parents]
    monkeypatch.setattr(metadata, "PARENTS", 3)
    assert describe(snapshot)["parents"].data == shown
    monkeypatch.setattr(metadata, "PARENTS", 1)
    assert describe(snapshot)["parents"].data == [shown[0], ["and", "2 more, in the receipt"]]


MARKUP = frozenset("\\`*_{}[]()<>#+!|~&")
FORMULA = frozenset("=+-@")  # a spreadsheet runs a cell that begins like this


def active(cell):
    """What would still do something in a cell as shown: markup without a backslash, control characters, a formula."""
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "x", cell)  # CommonMark: a backslash takes the meaning of punctuation
    return {c for c in plain if c in MARKUP or not c.isprintable()} | (FORMULA & set(plain[:1]))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](http://127.0.0.1/x.png)",
        "a|b\nc\r\nd\x85e\u2028f",
        "`code` **bold** _emphasis_ ~~gone~~",
        "&lt;b&gt; &#60;",
        "\\<b>\\\\<b>\\",
        "\x1b[31mred\x1b]8;;http://127.0.0.1\x07link\x9b0m",
        "right\u202eto left",
        '=HYPERLINK("http://127.0.0.1")',
        "+1+1",
        "-1-1",
        "@SUM(A1)",
        "\t=1+1",
        "".join(map(chr, range(0x20))),
        string.punctuation,
        string.punctuation[::-1],
        *(character + "1" for character in string.punctuation),
    ],
)
def test_s15_names_and_rows_are_shown_as_text(hostile):
    header, rule, row = markdown_table(pa.RecordBatch.from_pydict({hostile: [hostile]})).split("\n")
    assert rule == "| --- |"
    for line in (header, row):
        assert line[:2] == "| " and line[-2:] == " |"
        assert active(line[2:-2]) == set()


AUTOLINK = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|www\.|(?:mailto|xmpp|tel):|[\w.+-]@[\w-]")  # GFM, and mail programs


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/x",
        "HTTP://evil.example",
        "see (ftp://evil.example/x)",
        "www.evil.example",
        "WWW.evil.example/a?b=c",
        "mailto:a@evil.example",
        "a.b+c@evil.example",
        "_a@evil.example",
        "xmpp:a@evil.example/x",
        "https\\://evil.example",
        "https:\u200b//evil.example www.www.evil.example",
        "日本@例え.jp",
    ],
)
def test_s15_no_bare_address_is_left_for_a_renderer_to_make_a_link_of(link):
    cell = escape(link)
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)  # what a reader sees, and what autolinkers search
    assert not AUTOLINK.search(shown) and not AUTOLINK.search(cell) and active(cell) == set()
    assert shown.replace("[:]", ":").replace("[.]", ".").replace("[@]", "@").startswith(link[:4])


def test_s15_text_that_is_no_address_is_left_alone():
    for text in ("ratio 3:4", "hotel: 4", "a / b", "e. g. www", "@home", "12:30"):
        assert re.sub(r"\\(.)", r"\1", escape(text)) == text


def test_s15_a_cut_cell_does_not_end_inside_an_escape():
    for length in range(50, 70):
        assert active(escape("x" * length + "|" * 40)) == set()


def test_long_cells_are_cut_with_a_mark():
    assert len(escape("x" * 500)) <= 61 and escape("x" * 500).endswith("…")


def test_a_snapshot_without_tables_has_no_preview(store):
    def build(writer):
        writer.write_json("only.json", {"a": 1})

    snapshot: Snapshot = store.run_stage(
        name="test/json", module="assets_data.lineage.storage.store", config=CountConfig(), parents={}, build=build
    )
    facts = describe(snapshot)
    assert not {"preview", "rows", "rows_per_s", "dagster/row_count", "dagster/column_schema"} & set(facts)


def test_a_reports_scalars_and_every_table_its_recipe_wrote_are_shown_as_text(store):
    metrics = {
        "scalars": {"exact_match": 0.97, "hostile": "<b>"},
        "curves": {"loss": {"updates": [1], "values": [2.0]}},
        "samples": [{"prompt": "What is 10 + 20?", "greedy": "<script>"}, {"prompt": "a|b", "greedy": "30"}],
        "empty": [],
    }
    report = store.run_stage(
        name="test/gate_report",
        module="tests.assets_data.lineage.stages",
        config=CountConfig(),
        parents={},
        build=lambda writer: writer.write_json("result.json", {"metrics": metrics}),
    )
    shown = {name: value.md_str for name, value in report_tables(report).items()}
    assert set(shown) == {"report/scalars", "report/samples"}
    assert "| exact\\_match | 0.97 |" in shown["report/scalars"] and "<" not in shown["report/scalars"].replace(
        "\\<", ""
    )
    assert shown["report/samples"].count("\n") == 3 and "\\<script\\>" in shown["report/samples"]
