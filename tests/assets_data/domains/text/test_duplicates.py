"""Duplicates across slices: every text is kept once, in its earliest slice; a later slice changes no earlier list."""

import dataclasses
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text import document_index
from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.documents import read_documents
from assets_data.domains.text.drops import make_drops, read_drops
from assets_data.domains.text.duplicates import natural_order
from assets_data.domains.text.near import Signer, shingles
from assets_data.domains.text.schemas import schema_failures
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import ConfigError, DataError, IntegrityError, Store
from tests.assets_data.domains.text.corpora import (
    TEXT,
    documents,
    documents_of,
    duplicates_of,
    raw_of,
    rows_of,
    trained,
    triples_of,
)

NEAR = dataclasses.replace(TEXT, duplicates=DuplicatesConfig(near=True, threshold=0.7))
SHARED = documents(12, seed=5)


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """Three slices: 0 and 1 share texts, spelled otherwise; 2 repeats texts of both. Read-only."""
    root = tmp_path_factory.mktemp("duplicates")
    store = Store(root / "store")
    texts = {
        "files-2": [*documents(15, seed=1), *SHARED[:8]],
        "files-10": [*(f"{text}  \n\n\n" for text in SHARED), *SHARED[:2], *documents(15, seed=2)],
        "files-11": [SHARED[0], SHARED[10], documents(15, seed=2)[3], *documents(5, seed=3)],
    }
    return store, {name: raw_of(store, root / name, lines) for name, lines in texts.items()}


def drops_of(store, name, raw, duplicates, config=TEXT):
    return make_drops(store, name, documents_of(store, raw, config), duplicates)


def kept(store, name, raw, duplicates, config=TEXT):
    documents_made = documents_of(store, raw, config)
    dropped = Counter(documents_made.read_json("dropped.json"))
    frames = read_documents(documents_made, read_drops(make_drops(store, name, documents_made, duplicates)), dropped)
    return {row["text"] for frame in frames for row in frame.to_dicts()}, +dropped


def test_every_text_is_kept_once_in_the_earliest_slice_by_natural_order(slices):
    store, raw = slices
    duplicates = duplicates_of(store, raw, TEXT)
    found = {name: kept(store, name, snapshot, duplicates) for name, snapshot in raw.items()}
    assert set(SHARED[:8]) <= found["files-2"][0] and set(SHARED[8:]) <= found["files-10"][0]
    assert sum(len(texts) for texts, _ in found.values()) == len(set().union(*(texts for texts, _ in found.values())))
    assert found["files-10"][1] == {"duplicate": 2, "duplicate_across": 8}
    assert found["files-11"][1] == {"duplicate_across": 3}


def test_every_dropped_record_names_the_kept_one_that_has_its_text(slices):
    store, raw = slices
    duplicates = duplicates_of(store, raw, TEXT)
    texts = {
        (name, row["record_id"]): row["text_id"]
        for name, snapshot in raw.items()
        for row in rows_of(documents_of(store, snapshot))
    }
    drops = duplicates.table("drops.parquet").to_pylist()
    gone = {(drop["slice"], drop["record_id"]) for drop in drops}
    assert len(drops) == len(gone) == 11
    for drop in drops:
        keeper = (drop["kept_slice"], drop["kept_record_id"])
        assert keeper not in gone and texts[keeper] == texts[drop["slice"], drop["record_id"]]


def test_a_slice_that_comes_later_changes_no_earlier_list_and_makes_no_triples_again(slices):
    store, raw = slices
    names = ["files-2", "files-10"]
    before = duplicates_of(store, {name: raw[name] for name in names}, TEXT)
    after = duplicates_of(store, raw, TEXT)
    assert before.id != after.id
    tokenizer = trained(store, raw.values())
    for name in names:
        lists = [drops_of(store, name, raw[name], duplicates) for duplicates in (before, after)]
        assert lists[0].id == lists[1].id
        first, again = (make_triples(store, documents_of(store, raw[name]), tokenizer, TEXT, one) for one in lists)
        assert again.reused and again.id == first.id
    assert first.read_json("dropped.json")["duplicate_across"] == 8


def test_only_the_new_slice_is_read_again(slices, store, monkeypatch):
    _, raw = slices
    duplicates_of(store, {name: raw[name] for name in ("files-2", "files-10")}, TEXT)
    read = []

    def noted(documents_made):
        read.append(documents_made.id)
        return read_documents(documents_made)

    monkeypatch.setattr(document_index, "read_documents", noted)
    duplicates_of(store, raw, TEXT)
    assert read == [documents_of(store, raw["files-11"]).id]
    assert all(documents_of(store, one).reused for one in raw.values())


def test_a_list_without_drops_is_the_same_as_no_list(slices):
    store, raw = slices
    duplicates = duplicates_of(store, raw, TEXT)
    lists = {name: drops_of(store, name, snapshot, duplicates) for name, snapshot in raw.items()}
    assert read_drops(lists["files-2"]).equals(read_drops(None)) and not read_drops(lists["files-10"]).is_empty()
    tokenizer = trained(store, raw.values())
    for name, same in (("files-2", True), ("files-10", False)):
        made = make_triples(store, documents_of(store, raw[name]), tokenizer, TEXT, lists[name])
        assert (made.id == triples_of(store, raw[name], tokenizer).id) is same


def test_one_slice_under_three_names_is_kept_under_the_first_one_and_lost_whole_under_the_others(slices):
    store, raw = slices
    twice = duplicates_of(store, dict.fromkeys(("files-2", "files-3", "files-10"), raw["files-2"]), TEXT)
    rows = documents_of(store, raw["files-2"]).stats["rows"]
    lost = Counter((row["slice"], row["kept_slice"]) for row in twice.table("drops.parquet").to_pylist())
    assert lost == {("files-3", "files-2"): rows, ("files-10", "files-2"): rows}
    first, second = (drops_of(store, name, raw["files-2"], twice) for name in ("files-2", "files-3"))
    assert (first.stats["rows"], second.stats["rows"]) == (0, rows) and first.id != second.id


def test_other_settings_and_unknown_slices_are_refused(slices):
    store, raw = slices
    duplicates = duplicates_of(store, {"files-2": raw["files-2"]}, TEXT)
    seeded = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, seed=99))
    for name, config in (("files-10", TEXT), ("files-2", seeded)):
        with pytest.raises(DataError) as error:
            drops_of(store, name, raw[name], duplicates, config)
        assert error.value.code == "DROPS_SLICE" and error.value.found == documents_of(store, raw[name], config).id
    assert drops_of(store, "files-2", raw["files-2"], duplicates).stats["rows"] == 0


def edited(text, seed):
    """``text`` with one word replaced."""
    words = text.split(" ")
    words[random.Random(seed).randrange(len(words))] = f"changed{seed}"
    return " ".join(words)


def test_near_duplicates_go_within_and_across_slices_and_the_rest_stays(store, tmp_path):
    originals = [text for text in documents(30, seed=7) if len(text) > 900]
    one = raw_of(store, tmp_path / "a", [*originals, *(edited(text, 1) for text in originals[:3])])
    others = documents(10, seed=8)
    again = [originals[0], edited(originals[0], 1)]  # one of them was left out of the first slice as too near the other
    two = raw_of(store, tmp_path / "b", [*(edited(text, 2) for text in originals), *others, *again])
    raw = {"files-0": one, "files-1": two}
    duplicates = duplicates_of(store, raw, NEAR)
    (first, lost), (second, lost_too) = (
        kept(store, name, snapshot, duplicates, NEAR) for name, snapshot in raw.items()
    )
    assert lost["near_duplicate"] == 3 and len(first) == len(originals)
    assert second == set(others) and lost_too["near_duplicate"] == len(originals) and lost_too["duplicate_across"] == 2
    drops = duplicates.table("drops.parquet").to_pylist()
    gone = {(drop["slice"], drop["record_id"]) for drop in drops}
    assert all((drop["kept_slice"], drop["kept_record_id"]) not in gone for drop in drops)
    assert schema_failures(duplicates) == []
    assert duplicates_of(Store(tmp_path / "again"), raw, NEAR).id == duplicates.id
    assert duplicates_of(store, raw, TEXT).table("drops.parquet").num_rows == 2


words = st.lists(st.integers(0, 40).map(str), min_size=1, max_size=60)


@given(words, words)
def test_signatures_estimate_the_jaccard_similarity_of_the_shingles(left, right):
    config = DuplicatesConfig(near=True, shingle_size=2, permutations=256)
    texts = [" ".join(left), " ".join([*left, *right])]
    one, other = (set(shingles(text, config)) for text in texts)
    a, b = (Signer(config).sign("", text) for text in texts)
    assert abs((a == b).mean() - len(one & other) / len(one | other)) < 0.2  # six standard errors


def test_shingles_are_words_or_characters():
    assert list(shingles("a b  c d", DuplicatesConfig(near=True, shingle_size=3))) == ["a b c", "b c d"]
    assert list(shingles("a", DuplicatesConfig(near=True))) == ["a"]
    assert list(shingles("漢字仮名", DuplicatesConfig(near=True, shingle="char", shingle_size=3))) == [
        "漢字仮",
        "字仮名",
    ]


@pytest.mark.parametrize(
    "settings", [{"threshold": 0.5}, {"near": True, "threshold": 0}, {"near": True, "shingle_size": 0}]
)
def test_settings_that_are_never_read_or_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError):
        DuplicatesConfig(**settings)


def test_slices_are_in_natural_order():
    assert sorted(["b-10", "b-9", "a", "b-09x", "b"], key=natural_order) == ["a", "b", "b-9", "b-09x", "b-10"]


def test_f13_lists_changed_after_they_were_published_stop_the_work_and_f14_rebuilding_heals(slices, store):
    _, raw = slices
    duplicates = duplicates_of(store, raw, TEXT)
    path = duplicates.file("drops.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"drops\.parquet"):
        drops_of(store, "files-2", raw["files-2"], duplicates)
    healed = duplicates_of(store, raw, TEXT)
    healed.verify(deep=True)
    assert healed.id == duplicates.id and not healed.reused
