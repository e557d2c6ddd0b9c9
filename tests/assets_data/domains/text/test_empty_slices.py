"""A slice that holds nothing new is a slice with no rows: through every stage, and for every reader of the rows."""

import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import pytest

from assets_data.domains.text.config import DocumentsConfig
from assets_data.domains.text.export import FORMATS, export_triples, import_triples
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.mix import make_mix
from assets_data.domains.text.mix_config import MixConfig
from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.domains.text.read import SPLITS, TripleTable, open_slices, shared_layout
from assets_data.domains.text.schemas import schema_failures
from assets_data.domains.text.walks.config import RulesConfig, smoke
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import DataError, Store
from tests.assets_data.domains.text.corpora import TEXT, chain_of, documents, raw_of, raw_slices, source_of

CASE = Path(__file__).parent / "cases" / "dup_slice"
LOOSE = dataclasses.replace(
    TEXT, documents=DocumentsConfig(min_chars=1, min_letter_share=0.0, validation_share=0.2, test_share=0.2)
)
WALKS = dataclasses.replace(smoke(), train_walks=3200, heldout_walks=200, rules=RulesConfig(r=(2, 3), max_chance=0.9))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Two files with the same 60 rows, each a slice of its own."""
    root = tmp_path_factory.mktemp("case")
    shutil.copytree(CASE, root / "in")
    store = Store(root / "store")
    return store, chain_of(store, raw_slices(store, source_of(root / "in", shards=4)), LOOSE)


def every_snapshot(chain):
    by_slice = (chain.raw, chain.documents, chain.index, chain.drops, chain.triples)
    return [chain.duplicates, chain.tokenizer, *(one for made in by_slice for one in made.values())]


def test_a_slice_of_duplicates_only_keeps_no_row_and_counts_every_one(case):
    _, chain = case
    assert list(chain.raw) == ["files-0", "files-1"]
    first, second = chain.triples.values()
    assert second.content["splits"] == dict.fromkeys(SPLITS, 0) and first.content["splits"]["train"] > 0
    for triples, raw, kept in ((first, 60, 60), (second, 60, 0)):
        dropped = +Counter(triples.read_json("dropped.json"))
        assert dropped == {"duplicate_across": 60 - kept} or (kept != 0 and not dropped)
        assert triples.stats["documents"] == triples.content["records"]["count"] == kept
        assert triples.stats["documents"] + dropped.total() == raw
    assert chain.drops["files-1"].stats["rows"] == 60 and chain.drops["files-0"].stats["rows"] == 0


def test_what_the_stages_publish_of_it_verifies_and_keeps_its_schema(case):
    store, chain = case
    summary = make_quality_summary(store, chain.raw, chain.triples)
    manifest = make_dataset_manifest(store, chain.triples, chain.tokenizer)
    for snapshot in (*every_snapshot(chain), summary, manifest):
        snapshot.verify(deep=True)
        assert schema_failures(snapshot) == [], snapshot.kind
    rows = {row["slice"]: row for row in summary.table("slices.parquet").to_pylist()}
    assert (rows["files-1"]["records"], rows["files-1"]["documents"], rows["files-1"]["rows"]) == (60, 0, 0)
    assert rows["*"]["rows"] == rows["files-0"]["rows"] == chain.triples["files-0"].stats["rows"]


def test_its_readers_find_the_rows_of_the_other_slice_and_none_of_its_own(case):
    store, chain = case
    manifest = make_dataset_manifest(store, chain.triples, chain.tokenizer)
    document = manifest.read_json("manifest.json")
    assert document["members"]["triples"] == {name: one.id for name, one in chain.triples.items()}
    assert document["splits"]["triples"] == chain.triples["files-0"].content["splits"]
    slices = open_slices(store, manifest)
    assert shared_layout(slices).tokenizer == chain.tokenizer.id
    for split in SPLITS:
        files = [snapshot.file(f"{split}.arrow") for snapshot in slices.values()]
        both, alone, none = TripleTable(files), TripleTable(files[0]), TripleTable(files[1])
        assert len(both) == len(alone) == chain.triples["files-0"].content["splits"][split] and len(none) == 0
        assert all((a.labels == b.labels).all() for a, b in zip(both, alone, strict=True))
        assert both.spans_4N.shape == (4, len(both)) and none.spans_4N.shape == (4, 0)
        with pytest.raises(IndexError):
            none[0]


@pytest.mark.parametrize("file_format", FORMATS)
def test_it_is_exported_and_comes_back_as_the_snapshot_it_was(case, tmp_path, file_format):
    store, chain = case
    export_triples(store, chain.triples["files-1"], tmp_path / "out", file_format)
    assert import_triples(Store(tmp_path / "store"), tmp_path / "out").id == chain.triples["files-1"].id


def test_a_mix_takes_the_other_slices_rows_and_refuses_a_source_without_any(case):
    store, chain = case
    first, second = chain.triples.values()
    mix = make_mix(store, {"both": [first, second]}, MixConfig(by="rows"))
    assert mix.content["splits"] == first.content["splits"]
    with pytest.raises(DataError) as error:
        make_mix(store, {"a": [first], "b": [second]}, MixConfig(by="rows", train=10))
    assert error.value.code == "MIX_SOURCE_EMPTY" and error.value.found == ["b"]


def test_an_empty_slice_adds_nothing_to_a_walk_corpus(store, tmp_path):
    texts = documents(60)
    raw = {name: raw_of(store, tmp_path / name, lines) for name, lines in (("files-0", texts), ("files-1", texts[:9]))}
    chain = chain_of(store, raw)
    assert chain.triples["files-1"].stats["rows"] == 0
    both = make_walk_corpus(store, chain.triples, chain.tokenizer, WALKS)
    alone = make_walk_corpus(store, {"files-0": chain.triples["files-0"]}, chain.tokenizer, WALKS)
    assert both.id == alone.id and not alone.reused


@pytest.mark.parametrize("texts", [["short"], ["short", "1234, " * 20, "one line of it\n" * 30]])
def test_a_dataset_of_which_nothing_is_left_is_refused_once_and_says_what_was_dropped(store, tmp_path, texts):
    chain = chain_of(store, {name: raw_of(store, tmp_path / name, texts) for name in ("files-0", "files-1")})
    assert all(snapshot.stats["rows"] == 0 for snapshot in chain.triples.values())
    assert all(schema_failures(snapshot) == [] for snapshot in every_snapshot(chain))
    with pytest.raises(DataError) as error:
        make_dataset_manifest(store, chain.triples, chain.tokenizer)
    assert error.value.code == "MANIFEST_EMPTY" and error.value.action
    assert [sum(dropped.values()) for dropped in error.value.found.values()] == [len(texts)] * 2


def test_rows_to_validate_on_alone_make_no_dataset(store, tmp_path):
    held_out = dataclasses.replace(
        TEXT, documents=dataclasses.replace(TEXT.documents, validation_share=0.999, test_share=0)
    )
    chain = chain_of(store, {"files-0": raw_of(store, tmp_path / "in", documents(5))}, held_out)
    assert chain.triples["files-0"].content["splits"] | {"train": 0} == chain.triples["files-0"].content["splits"]
    assert chain.triples["files-0"].stats["rows"] > 0
    with pytest.raises(DataError) as error:
        make_dataset_manifest(store, chain.triples, chain.tokenizer)
    assert error.value.code == "MANIFEST_EMPTY"
