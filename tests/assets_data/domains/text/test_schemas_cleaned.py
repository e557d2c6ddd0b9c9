"""The schemas of documents, index and drops: silent on what the stages publish, each fault named."""

import dataclasses

import pyarrow as pa
import pytest

from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.document_index import make_document_index
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import Store
from tests.assets_data.domains.text.corpora import TEXT, chain_of, documents, raw_of
from tests.assets_data.domains.text.tampered import changed, found, publish, with_column

NEAR = dataclasses.replace(TEXT, duplicates=DuplicatesConfig(near=True, permutations=16))


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """Documents, index and drops of two slices that share texts. Read-only."""
    root = tmp_path_factory.mktemp("cleaned")
    store = Store(root / "store")
    texts = documents(12, seed=31)
    slices = {"files-0": [*texts, f"{texts[0]}\n"], "files-1": [*texts[:4], *documents(3, seed=32)]}
    return chain_of(store, {name: raw_of(store, root / name, lines) for name, lines in slices.items()})


def tampered(store, snapshot, file, table):
    """The snapshot's tables with one of them replaced, as the same kind."""
    tables = {name: snapshot.table(name) for name in snapshot.files if name.endswith(".parquet")}
    return publish(store, snapshot.kind, tables | {file: table}, {}, file)


def replaced(snapshot, file, column, index, value):
    table = snapshot.table(file)
    value = table[column][value].as_py() if isinstance(value, int) else value
    return with_column(table, column, changed(table[column].to_pylist(), index, value))


def test_what_the_stages_before_the_triples_publish_has_no_failures(cleaned):
    for made in (cleaned.documents, cleaned.index, cleaned.drops):
        assert all(snapshot.stats["rows"] for name, snapshot in made.items() if name == "files-1")
        assert [schema_failures(snapshot) for snapshot in made.values()] == [[], []]
    assert cleaned.documents["files-0"].table("repeats.parquet").num_rows == 1
    assert schema_failures(cleaned.duplicates) == schema_failures(cleaned.tokenizer) == []


@pytest.mark.parametrize(
    ("file", "column", "value", "check"),
    [
        ("documents.parquet", "record_id", 0, "field_uniqueness"),
        ("documents.parquet", "record_id", "0" * 63, "str_matches('^[0-9a-f]{64}$')"),
        ("documents.parquet", "text_id", 0, "field_uniqueness"),
        ("documents.parquet", "text_id", "", "str_matches('^[0-9a-f]{64}$')"),
        ("documents.parquet", "origin", "", "str_length(1, None)"),
        ("documents.parquet", "split", "dev", "isin(('train', 'validation', 'test'))"),
        ("documents.parquet", "split", "", "isin(('train', 'validation', 'test'))"),
        ("documents.parquet", "text", "", "str_length(1, None)"),
        ("repeats.parquet", "record_id", "?", "str_matches('^[0-9a-f]{64}$')"),
        ("repeats.parquet", "text_id", "A" * 64, "str_matches('^[0-9a-f]{64}$')"),
    ],
)
def test_wrong_documents_are_named(cleaned, store, file, column, value, check):
    made = cleaned.documents["files-0"]
    index = 2 if file == "documents.parquet" else 0
    broken = tampered(store, made, file, replaced(made, file, column, index, value))
    assert found(broken) == {(file, column, check)}


def test_a_column_too_many_or_too_few_is_named(cleaned, store):
    made = cleaned.documents["files-0"]
    more = made.table("repeats.parquet").append_column("text", pa.array(["x"]))
    assert {check for _, _, check in found(tampered(store, made, "repeats.parquet", more))} == {"column_in_schema"}
    fewer = made.table("documents.parquet").drop_columns(["prompt"])
    assert "column_in_dataframe" in {check for _, _, check in found(tampered(store, made, "documents.parquet", fewer))}


@pytest.mark.parametrize("column", ["text_id", "record_id"])
def test_an_index_with_a_digest_of_another_width_is_named(cleaned, store, column):
    made = cleaned.index["files-0"]
    last = made.table("documents.parquet")[column][-1].as_py()
    broken = tampered(store, made, "documents.parquet", replaced(made, "documents.parquet", column, -1, last + b"\0"))
    assert found(broken) == {("documents.parquet", column, "str_matches('^[0-9a-f]{64}$')")}


@pytest.mark.parametrize("config", [TEXT, NEAR], ids=["exact", "near"])
def test_an_index_out_of_order_is_named(cleaned, store, config):
    made = cleaned.index["files-0"]
    if config is NEAR:
        made = make_document_index(store, cleaned.documents["files-0"], config)
        assert schema_failures(made) == [] and "signature" in made.table("documents.parquet").column_names
    table = made.table("documents.parquet")
    swapped = table.take([1, 0, *range(2, len(table))])
    assert {check for _, _, check in found(tampered(store, made, "documents.parquet", swapped))} == {
        "texts are in order"
    }


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("record_id", 0, "field_uniqueness"),
        ("record_id", "g" * 64, "str_matches('^[0-9a-f]{64}$')"),
        ("reason", "duplicate", "isin(('duplicate_across', 'near_duplicate'))"),
    ],
)
def test_a_slices_own_list_that_is_wrong_is_named(cleaned, store, column, value, check):
    made = cleaned.drops["files-1"]
    broken = tampered(store, made, "drops.parquet", replaced(made, "drops.parquet", column, 2, value))
    assert found(broken) == {("drops.parquet", column, check)}
