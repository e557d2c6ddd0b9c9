"""The leakage checks: silent on our triples, loud on the reference's construction and on every kind of straddling."""

import dataclasses

import pyarrow as pa
import pytest

from assets_data.domains.text.checks import label_leaks, misplaced_rows, split_overlaps
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.read import SPLITS, TripleTable
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import DataError, Store
from tests.assets_data.domains.text.corpora import TEXT, documents, raw_of, trained, triples_of
from tests.assets_data.domains.text.tampered import reference_rows, rewritten, with_column


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Two slices that share ten documents, one tokenizer. Read-only."""
    root = tmp_path_factory.mktemp("checks")
    store = Store(root / "store")
    shared = documents(10, seed=9)
    raw = [raw_of(store, root / str(seed), documents(40, seed) + shared) for seed in range(2)]
    tokenizer = trained(store, raw, TEXT)
    triples = {f"files-{i}": triples_of(store, slice_, tokenizer, TEXT) for i, slice_ in enumerate(raw)}
    return store, raw, tokenizer, triples


def manifest_refusal(store, triples, tokenizer):
    before = set((store.root / "snapshots").iterdir())
    with pytest.raises(DataError) as error:
        make_dataset_manifest(store, triples, tokenizer)
    assert set((store.root / "snapshots").iterdir()) == before
    return error.value


def test_our_triples_pass_every_check_over_all_rows(chain):
    _, _, _, triples = chain
    for snapshot in triples.values():
        rows = sum(snapshot.content["splits"].values())
        for finding in (label_leaks(snapshot), misplaced_rows(snapshot)):
            assert (finding.rows, finding.count, finding.passed, finding.examples) == (rows, 0, True, ())
    overlaps = split_overlaps(list(triples.values()))
    assert (overlaps.rows, overlaps.count) == (100, 0)  # the shared documents count twice and share their splits


@pytest.mark.parametrize("copied", [False, True])
def test_the_references_construction_leaks_in_every_split(chain, store, copied):
    _, _, _, triples = chain
    ours = triples["files-0"]
    theirs = rewritten(store, ours, "reference", **{s: reference_rows(ours, s, copied=copied) for s in SPLITS})
    encoder_ids, _, labels = TripleTable(theirs.file("train.arrow"))[0]
    assert encoder_ids[1:].tolist() == labels[:-1].tolist()  # it is the reference's: the encoder sees what is asked
    finding = label_leaks(theirs)
    assert finding.count == finding.rows == label_leaks(ours).rows
    assert not finding.passed and finding.examples[0]["record_id"]


def test_one_leaking_row_among_many_is_found_and_shown(chain, store):
    _, _, _, triples = chain
    table = triples["files-0"].table("validation.arrow")
    ends = table["encoder_end"].to_pylist()
    ends[7] += 2  # now the encoder sees bos and the first label
    finding = label_leaks(
        rewritten(store, triples["files-0"], "one", validation=with_column(table, "encoder_end", ends))
    )
    assert finding.count == 1
    assert (finding.examples[0]["split"], finding.examples[0]["row"]) == ("validation", 7)
    ends[7] -= 1  # bos alone is no label
    allowed = rewritten(store, triples["files-0"], "bos", validation=with_column(table, "encoder_end", ends))
    assert label_leaks(allowed).passed


def test_a_text_in_two_splits_is_found_across_slices(chain):
    store, raw, _, triples = chain
    other = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, seed=1))
    straddling = triples_of(store, raw[1], trained(store, raw, other), other)
    finding = split_overlaps([triples["files-0"], straddling])
    assert 0 < finding.count <= 10 and len(finding.examples[0]["splits"]) == 2


def test_a_text_in_two_splits_is_found_within_a_slice(chain, store):
    _, _, _, triples = chain
    table = triples["files-0"].table("records.parquet")
    ids = table["text_id"].to_pylist()
    splits = table["split"].to_pylist()
    ids[splits.index("test")] = ids[splits.index("train")]
    finding = split_overlaps(
        [rewritten(store, triples["files-0"], "within", records=with_column(table, "text_id", ids))]
    )
    assert (finding.count, finding.examples[0]["splits"]) == (1, ["test", "train"])


def test_rows_in_the_file_of_another_split_are_found(chain, store):
    _, _, _, triples = chain
    ours = triples["files-0"]
    train, test = ours.table("train.arrow"), ours.table("test.arrow")
    moved = rewritten(store, ours, "moved", train=train.slice(1), test=pa.concat_tables([test, train.slice(0, 1)]))
    finding = misplaced_rows(moved)
    assert (finding.count, finding.examples[0]["split"]) == (1, "test")


def test_a_manifest_names_its_members_and_the_checks_that_passed(chain):
    store, _, tokenizer, triples = chain
    manifest = make_dataset_manifest(store, triples, tokenizer)
    document = manifest.read_json("manifest.json")
    assert document["members"] == {
        "tokenizer": tokenizer.id,
        "triples": {name: snapshot.id for name, snapshot in triples.items()},
    }
    totals = {split: sum(t.content["splits"][split] for t in triples.values()) for split in SPLITS}
    assert document["splits"] == {"triples": totals}
    assert [(c["slice"], c["check"], c["passed"]) for c in document["checks"]] == [
        ("files-0", "label_leaks", True),
        ("files-0", "misplaced_rows", True),
        ("files-1", "label_leaks", True),
        ("files-1", "misplaced_rows", True),
        ("*", "split_overlaps", True),
    ]
    assert document["licence"] == "unstated" and "local files" in document["origin"]
    assert schema_failures(manifest) == []


def test_a_manifest_does_not_depend_on_the_order_of_its_slices(chain):
    store, _, tokenizer, triples = chain
    backwards = dict(reversed(triples.items()))
    again = make_dataset_manifest(store, backwards, tokenizer)
    assert again.id == make_dataset_manifest(store, triples, tokenizer).id and again.reused


def test_a_manifest_over_leaking_straddling_or_misplaced_data_is_refused(chain):
    store, _, tokenizer, triples = chain
    ours = triples["files-0"]
    leaking = rewritten(store, ours, "leaks", train=reference_rows(ours, "train", copied=False))
    table = ours.table("records.parquet")
    flipped = ["test" if split == "train" else "train" for split in table["split"].to_pylist()]
    relabelled = with_column(table, "split", flipped)
    straddling = rewritten(store, ours, "straddles", records=relabelled)
    for broken, check in ((leaking, "label_leaks"), (straddling, "misplaced_rows")):
        error = manifest_refusal(store, {"files-0": broken}, tokenizer)
        assert error.code == "MANIFEST_CHECK_FAILED" and check in str(error) and error.where == "files-0"
    swapped = {"train": ours.table("test.arrow"), "test": ours.table("train.arrow")}
    moved = rewritten(
        store, ours, "moves", records=relabelled, **{**swapped, "validation": swapped["train"].slice(0, 0)}
    )
    error = manifest_refusal(store, {"files-0": moved, "files-1": triples["files-1"]}, tokenizer)
    assert error.code == "MANIFEST_CHECK_FAILED" and "split_overlaps" in str(error)


def test_a_manifest_over_another_tokenizer_or_no_slice_is_refused(chain):
    store, raw, tokenizer, triples = chain
    other = dataclasses.replace(TEXT, tokenizer=dataclasses.replace(TEXT.tokenizer, vocab_size=300))
    foreign = triples_of(store, raw[0], trained(store, raw, other), other)
    error = manifest_refusal(store, {"files-0": foreign, "files-1": triples["files-1"]}, tokenizer)
    assert error.code == "MANIFEST_TOKENIZER" and list(error.found) == ["files-0"]
    assert manifest_refusal(store, {}, tokenizer).code == "MANIFEST_EMPTY"
