"""A mix: exact shares of each source, interleaved, every row traceable, and nothing of the sources touched."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from assets_data.domains.text.checks import label_leaks, misplaced_rows, split_overlaps
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.mix import MixConfig, make_mix
from assets_data.domains.text.read import SPLITS, TripleTable
from assets_data.domains.text.triples import iter_windows
from assets_data.lineage import ConfigError, DataError, Store, from_dict
from assets_data.lineage.receipts.reader import read_document
from tests.assets_data.domains.text.corpora import TEXT, documents, raw_of, trained, triples_of


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Three slices under one tokenizer, the first two sharing ten documents; a manifest over those. Read-only."""
    root = tmp_path_factory.mktemp("mix")
    store = Store(root / "store")
    shared = documents(10, seed=9)
    texts = [documents(40, 0) + shared, documents(40, 1) + shared, documents(120, 2)]
    raw = [raw_of(store, root / str(i), part) for i, part in enumerate(texts)]
    tokenizer = trained(store, raw, TEXT)
    small = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, batch_bytes=2000))
    a, b, c = (triples_of(store, part, tokenizer, small) for part in raw)
    manifest = make_dataset_manifest(store, {"a": a, "b": b}, tokenizer)
    return store, raw, tokenizer, (a, b, c), manifest


def rows_of(mix, split="train"):
    return mix.table(f"{split}.arrow").to_pylist()


def by_source(mix, split="train"):
    names = [source["name"] for source in mix.read_json("layout.json")["sources"]]
    return Counter(names[row["source"]] for row in rows_of(mix, split))


def taken(mix, split="train"):
    return mix.read_json("mix.json")["splits"][split]


def test_rows_come_in_the_shares_asked_for_to_the_row_and_repeat_as_evenly_as_can_be(chain):
    store, _, _, (a, _b, c), _ = chain
    config = MixConfig(weights={"first": 1, "second": 2.5}, by="rows", train=1001, validation=10, test=3)
    mix = make_mix(store, {"first": [a], "second": [c]}, config)
    assert by_source(mix) == {"first": 286, "second": 715} and mix.content["splits"]["train"] == 1001
    assert by_source(mix, "test") == {"first": 1, "second": 2} and len(rows_of(mix, "validation")) == 10
    for place, source in enumerate((a, c)):
        times = Counter((row["record_id"], row["start"]) for row in rows_of(mix) if row["source"] == place)
        least = sum(times.values()) // source.content["splits"]["train"]
        assert set(times.values()) <= {least, least + 1}
        assert taken(mix)[("first", "second")[place]]["distinct_rows"] == len(times)


def test_by_tokens_shares_hold_to_the_row(chain):
    store, _, _, (a, _b, c), _ = chain
    mix = make_mix(store, {"first": [a], "second": [c]}, MixConfig(weights={"first": 3, "second": 1}, train=40_000))
    for name, quota in (("first", 30_000), ("second", 10_000)):
        assert taken(mix)[name]["quota"] == quota <= taken(mix)[name]["tokens"] < quota + 32
    stored = sum(len(row["tokens"]) - 3 for row in rows_of(mix))
    assert stored == sum(source["tokens"] for source in taken(mix).values())


def test_without_a_size_no_row_repeats_and_a_source_is_used_up(chain):
    store, _, _, (a, _b, c), _ = chain
    mix = make_mix(store, {"first": [a], "second": [c]}, MixConfig(by="rows"))
    assert by_source(mix) == dict.fromkeys(("first", "second"), a.content["splits"]["train"])
    rows = [(row["record_id"], row["start"]) for split in SPLITS for row in rows_of(mix, split)]
    assert len(set(rows)) == len(rows)


def test_every_row_is_its_sources_row_and_names_record_and_snapshot(chain):
    store, _, _, members, manifest = chain
    mix = make_mix(store, {"both": [manifest], "other": [members[2]]}, MixConfig(by="rows", train=900))
    sources = mix.read_json("layout.json")["sources"]
    assert [(source["name"], source["snapshot"]) for source in sources] == [
        ("both", members[0].id),
        ("both", members[1].id),
        ("other", members[2].id),
    ]
    for split in SPLITS:
        stored = [
            {(r["record_id"], r["start"]): r for r in member.table(f"{split}.arrow").to_pylist()} for member in members
        ]
        for row in rows_of(mix, split):
            original = stored[row["source"]][row["record_id"], row["start"]]
            assert {k: v for k, v in row.items() if k not in ("row_key", "source")} == {
                k: v for k, v in original.items() if k != "row_key"
            }
    listed = {(row["record_id"], row["split"]) for row in mix.table("records.parquet").to_pylist()}
    assert listed == {(row["record_id"], split) for split in SPLITS for row in rows_of(mix, split)}
    assert mix.content["records"]["count"] == len(listed)
    origins = {row["record_id"]: row["origin"] for m in members for row in m.table("records.parquet").to_pylist()}
    assert all(origins[row["record_id"]] == row["origin"] for row in mix.table("records.parquet").to_pylist()[:20])


def test_row_keys_are_distinct_although_rows_repeat_and_sources_share_records(chain):
    store, _, _, (a, b, _), _ = chain
    mix = make_mix(store, {"a": [a], "b": [b]}, MixConfig(by="rows", train=3000))
    keys = mix.table("train.arrow")["row_key"].to_numpy()
    assert len(np.unique(keys)) == 3000
    own = set(a.table("train.arrow")["row_key"].to_numpy()) | set(b.table("train.arrow")["row_key"].to_numpy())
    assert own <= set(keys)  # each row once under its own key


def test_sources_are_interleaved_by_keys(chain):
    store, _, _, (a, _, c), _ = chain
    mix = make_mix(store, {"first": [a], "second": [c]}, MixConfig(by="rows", train=400))
    for place in (0, 1):
        in_quarters = np.split(mix.table("train.arrow")["source"].to_numpy() == place, 4)
        assert all(25 <= quarter.sum() <= 75 for quarter in in_quarters)
    starts = [row["start"] for row in rows_of(mix)]
    assert starts != sorted(starts)


def test_it_trains_like_triples_and_a_manifest_over_it_passes_the_checks(chain):
    store, _, tokenizer, (a, _, c), _ = chain
    mix = make_mix(store, {"first": [a], "second": [c]}, MixConfig(by="rows", train=700))
    assert label_leaks(mix).passed and misplaced_rows(mix).passed and split_overlaps([mix]).passed
    assert len(TripleTable(mix.file("train.arrow"))) == 700 and sum(1 for _ in iter_windows(mix, "train"))
    document = make_dataset_manifest(store, {"mix": mix}, tokenizer).read_json("manifest.json")
    assert document["members"]["triples"] == {"mix": mix.id} and document["splits"]["triples"]["train"] == 700
    again = make_mix(store, {"mixed": [mix], "more": [c]}, MixConfig(by="rows", train=100))
    assert again.table("train.arrow").schema == mix.table("train.arrow").schema


def test_the_receipt_names_every_source_and_the_sources_still_verify(chain):
    store, _, _, members, manifest = chain
    mix = make_mix(store, {"both": [manifest], "other": [members[2]]}, MixConfig())
    parents = read_document(mix.receipt)["predicate"]["buildDefinition"]["resolvedDependencies"]
    named = {parent["digest"].get("sha256") for parent in parents}
    assert {snapshot.id.removeprefix("sha256:") for snapshot in (*members, manifest)} <= named
    for snapshot in members:
        snapshot.verify(deep=True)


def test_seed_weights_and_sizes_change_the_id_the_order_of_sources_does_not(chain, tmp_path):
    store, _, _, (a, _, c), _ = chain
    config = MixConfig(by="rows", train=300, weights={"first": 1, "second": 1})
    mix = make_mix(store, {"first": [a], "second": [c]}, config)
    assert make_mix(Store(tmp_path), {"second": [c], "first": [a]}, config).id == mix.id
    for change in ({"seed": 8}, {"train": 301}, {"weights": {"first": 1, "second": 2}}, {"by": "tokens"}):
        assert make_mix(store, {"first": [a], "second": [c]}, dataclasses.replace(config, **change)).id != mix.id, (
            change
        )


def test_sources_under_different_tokenizers_are_refused_naming_both_until_one_is_chosen(chain):
    store, raw, tokenizer, (a, _, _), _ = chain
    other = dataclasses.replace(TEXT, tokenizer=dataclasses.replace(TEXT.tokenizer, vocab_size=300))
    small = trained(store, raw, other)
    foreign = triples_of(store, raw[2], small, other)
    for config in (MixConfig(), MixConfig(tokenizer=tokenizer.id), MixConfig(tokenizer=small.id)):
        with pytest.raises(DataError) as error:
            make_mix(store, {"ours": [a], "theirs": [foreign]}, config)
        assert error.value.code == "MIX_TOKENIZER"
        assert tokenizer.id in str(error.value) and small.id in str(error.value) and "theirs" in str(error.value)
    chosen = triples_of(store, raw[2], tokenizer, TEXT)
    make_mix(store, {"ours": [a], "theirs": [chosen]}, MixConfig(tokenizer=tokenizer.id))
    with pytest.raises(DataError, match="another tokenizer"):
        make_mix(store, {"ours": [a]}, MixConfig(tokenizer=small.id))


def test_sources_weights_and_splits_that_cannot_be_are_refused(chain, store, tmp_path):
    home, _, tokenizer, (a, _, c), _ = chain
    for sources, weights in (({}, None), ({"a": []}, None), ({"a": [a]}, {"b": 1}), ({"a": [a], "c": [c]}, {"a": 1})):
        with pytest.raises(DataError) as error:
            make_mix(home, sources, MixConfig(weights=weights))
        assert error.value.code == "MIX_SOURCES"
    for settings in ({"weights": {"a": 0}}, {"weights": {"a": float("nan")}}, {"train": -1}):
        with pytest.raises(ConfigError, match=r"positive|at least"):
            MixConfig(**settings)
    assert from_dict(MixConfig, {"weights": {"a": 1}, "by": "rows"}) == MixConfig(weights={"a": 1}, by="rows")
    (one_split,) = [triples_of(home, raw_of(home, tmp_path, documents(1)), tokenizer, TEXT)]
    (only,) = [split for split, rows in one_split.content["splits"].items() if rows]
    with pytest.raises(DataError) as error:
        make_mix(home, {"a": [a], "one": [one_split]}, MixConfig(**{s: 10 for s in SPLITS if s != only}))
    assert error.value.code == "MIX_SOURCE_EMPTY" and error.value.found == ["one"]
