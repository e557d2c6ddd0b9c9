"""Duplicates across slices: every text is kept once, in its earliest slice; a later slice changes no earlier list."""

import dataclasses
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.config import DuplicatesConfig
from assets_data.domains.text.documents import iter_documents
from assets_data.domains.text.drops import drops_digest, read_drops
from assets_data.domains.text.duplicates import make_duplicates, natural_order
from assets_data.domains.text.near import Signer, shingles
from assets_data.domains.text.schemas import schema_failures
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.domains.text.triples import make_triples
from assets_data.lineage import ConfigError, DataError, IntegrityError, Store
from tests.assets_data.domains.text.corpora import TEXT, documents, raw_of

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


def kept(raw, duplicates, config=TEXT):
    dropped = Counter()
    drops = read_drops(duplicates, raw, config.documents)
    frames = iter_documents(raw, config.documents, dropped, drops)
    return {row["text"] for frame in frames for row in frame.to_dicts()}, dropped


def test_every_text_is_kept_once_in_the_earliest_slice_by_natural_order(slices):
    store, raw = slices
    duplicates = make_duplicates(store, raw, TEXT)
    found = {name: kept(snapshot, duplicates) for name, snapshot in raw.items()}
    assert set(SHARED[:8]) <= found["files-2"][0] and set(SHARED[8:]) <= found["files-10"][0]
    assert sum(len(texts) for texts, _ in found.values()) == len(set().union(*(texts for texts, _ in found.values())))
    assert found["files-10"][1] == {"duplicate": 2, "duplicate_across": 8}
    assert found["files-11"][1] == {"duplicate": 0, "duplicate_across": 3}


def test_every_dropped_record_names_the_kept_one_that_has_its_text(slices):
    store, raw = slices
    duplicates = make_duplicates(store, raw, TEXT)
    texts = {
        (snapshot.id, row["record_id"]): row["text_id"]
        for snapshot in raw.values()
        for frame in iter_documents(snapshot, TEXT.documents, Counter())
        for row in frame.to_dicts()
    }
    drops = duplicates.table("drops.parquet").to_pylist()
    gone = {(drop["raw_slice"], drop["record_id"]) for drop in drops}
    assert len(drops) == len(gone) == 11
    for drop in drops:
        keeper = (drop["kept_raw_slice"], drop["kept_record_id"])
        assert keeper not in gone and texts[keeper] == texts[drop["raw_slice"], drop["record_id"]]


def test_a_slice_that_comes_later_changes_no_earlier_list_and_makes_no_triples_again(slices):
    store, raw = slices
    names = ["files-2", "files-10"]
    before = make_duplicates(store, {name: raw[name] for name in names}, TEXT)
    after = make_duplicates(store, raw, TEXT)
    assert before.id != after.id
    tokenizer = make_tokenizer(store, list(raw.values()), TEXT)
    for name in names:
        first = make_triples(store, raw[name], tokenizer, TEXT, before)
        again = make_triples(store, raw[name], tokenizer, TEXT, after)
        assert again.reused and again.id == first.id
    assert first.read_json("dropped.json")["duplicate_across"] == 8


def test_only_the_new_slice_is_read_again(slices, store, monkeypatch):
    _, raw = slices
    make_duplicates(store, {name: raw[name] for name in ("files-2", "files-10")}, TEXT)
    read = []

    def noted(raw, *rest):
        read.append(raw.id)
        return iter_documents(raw, *rest)

    monkeypatch.setattr("assets_data.domains.text.document_index.iter_documents", noted)
    make_duplicates(store, raw, TEXT)
    assert read == [raw["files-11"].id]


def test_a_list_without_drops_is_the_same_as_no_list(slices):
    store, raw = slices
    duplicates = make_duplicates(store, raw, TEXT)
    none = read_drops(None, raw["files-2"], TEXT.documents)
    assert drops_digest(read_drops(duplicates, raw["files-2"], TEXT.documents)) == drops_digest(none)
    assert drops_digest(read_drops(duplicates, raw["files-10"], TEXT.documents)) != drops_digest(none)


def test_one_slice_under_two_names_loses_nothing(slices):
    store, raw = slices
    twice = make_duplicates(store, {"files-2": raw["files-2"], "files-3": raw["files-2"]}, TEXT)
    assert twice.table("drops.parquet").num_rows == 0


def test_other_settings_and_unknown_slices_are_refused(slices):
    store, raw = slices
    duplicates = make_duplicates(store, {"files-2": raw["files-2"]}, TEXT)
    with pytest.raises(DataError) as error:
        read_drops(duplicates, raw["files-10"], TEXT.documents)
    assert error.value.code == "DROPS_SLICE"
    with pytest.raises(DataError) as error:
        read_drops(duplicates, raw["files-2"], dataclasses.replace(TEXT.documents, seed=99))
    assert error.value.code == "DROPS_SETTINGS"


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
    duplicates = make_duplicates(store, raw, NEAR)
    (first, lost), (second, lost_too) = (kept(snapshot, duplicates, NEAR) for snapshot in raw.values())
    assert lost["near_duplicate"] == 3 and len(first) == len(originals)
    assert second == set(others) and lost_too["near_duplicate"] == len(originals) and lost_too["duplicate_across"] == 2
    drops = duplicates.table("drops.parquet").to_pylist()
    gone = {(drop["raw_slice"], drop["record_id"]) for drop in drops}
    assert all((drop["kept_raw_slice"], drop["kept_record_id"]) not in gone for drop in drops)
    assert schema_failures(duplicates) == []
    assert make_duplicates(Store(tmp_path / "again"), raw, NEAR).id == duplicates.id
    assert make_duplicates(store, raw, TEXT).table("drops.parquet").num_rows == 2


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
    duplicates = make_duplicates(store, raw, TEXT)
    path = duplicates.file("drops.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"drops\.parquet"):
        read_drops(duplicates, raw["files-2"], TEXT.documents)
    healed = make_duplicates(store, raw, TEXT)
    healed.verify(deep=True)
    assert healed.id == duplicates.id and not healed.reused
