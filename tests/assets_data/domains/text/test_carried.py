"""Fields carried beside records: kept as the source has them, shown, and no part of what is made of the records."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.domains.text.carried import carried_of, tally_carried
from assets_data.domains.text.config import DocumentsConfig, TextConfig
from assets_data.domains.text.documents import make_documents
from assets_data.domains.text.raw_slice import make_raw_slice, record_id
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import DataError
from assets_data.sources.config import FilesConfig, SourceConfig
from assets_data.sources.extract_config import ExtractConfig, QaConfig

ROWS = [
    {"text": "one story about a river", "meta": {"source": "wiki", "year": 1999, "tags": ["a", "b"]}},
    {"text": "one story about a hill", "meta": {"source": "books", "year": 7, "tags": []}},
    {"text": "one story about a river", "meta": {"source": "crawl", "year": None, "tags": None}},
]
CARRY = ("meta.source", "meta.year")


def write(folder, kind):
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "jsonl":
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "json":
        (folder / "rows.json").write_text(json.dumps(ROWS))
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), folder / "rows.parquet")


def slice_of(store, folder, carry=CARRY, **more):
    files = FilesConfig(root=str(folder), patterns=("**/*.*",))
    source = SourceConfig(source="files", shards=1, files=files, extract=ExtractConfig(carry=carry, **more))
    return make_raw_slice(store, "files-0", source)


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_fields_are_kept_beside_every_record_under_its_own_id(store, tmp_path, kind):
    write(tmp_path / "in", kind)
    raw = slice_of(store, tmp_path / "in")
    river, hill = (record_id(row["text"]) for row in ROWS[:2])
    assert [row["record_id"] for row in raw.table("records.parquet").to_pylist()] == [river, hill, river]
    assert carried_of([raw], [bytes.fromhex(river), bytes.fromhex(hill), bytes(32)]) == {
        bytes.fromhex(river): {"meta.source": ["crawl", "wiki"], "meta.year": ["1999"]},
        bytes.fromhex(hill): {"meta.source": ["books"], "meta.year": ["7"]},
    }
    assert schema_failures(raw) == []
    assert tally_carried([raw, slice_of(store, tmp_path / "in", ())]) == {
        "meta.source": {"wiki": 1, "books": 1, "crawl": 1},
        "meta.year": {"1999": 1, "7": 1},
    }


def test_what_is_made_of_the_records_has_the_id_it_would_have_without(store, tmp_path):
    write(tmp_path / "in", "jsonl")
    plain, carrying = slice_of(store, tmp_path / "in", ()), slice_of(store, tmp_path / "in")
    config = TextConfig(documents=DocumentsConfig(min_chars=1))
    assert plain.content["records"] == carrying.content["records"] and plain.id != carrying.id
    assert "carried" not in plain.table("records.parquet").column_names
    assert make_documents(store, plain, config).id == make_documents(store, carrying, config).id


def test_a_list_is_joined_a_folder_may_say_the_field_and_a_row_without_it_carries_nothing(store, tmp_path):
    write(tmp_path / "in" / "lang=de", "jsonl")
    raw = slice_of(store, tmp_path / "in", ("meta.tags", "lang", "nowhere"), separator=", ")
    found = [json.loads(row["carried"]) for row in raw.table("records.parquet").to_pylist()]
    assert found == [{"lang": "de", "meta.tags": "a, b"}, {"lang": "de"}, {"lang": "de"}]


def test_pairs_carry_lists_that_no_question_could_be(store, tmp_path):
    write(tmp_path / "in", "jsonl")
    qa = QaConfig(question="meta.source", answer="text")
    raw = slice_of(store, tmp_path / "in", ("meta.tags",), qa=qa, separator="|")
    assert json.loads(raw.table("records.parquet")["carried"][0].as_py()) == {"meta.tags": "a|b"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_field_that_is_no_text_is_refused_with_its_place(store, tmp_path, kind):
    write(tmp_path / "in", kind)
    with pytest.raises(DataError) as caught:
        slice_of(store, tmp_path / "in", ("meta",))
    assert caught.value.code == "ROW_NO_TEXT" and "meta" in str(caught.value) and ":1" in str(caught.value)
