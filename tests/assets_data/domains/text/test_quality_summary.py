"""The quality summary: its counts are those of the slices, and its total is their sum."""

import pytest

from assets_data.domains.text.quality_summary import MEASURES, TOTAL, make_quality_summary
from assets_data.domains.text.read import SPLITS
from assets_data.domains.text.schemas import schema_failures
from assets_data.lineage import DataError
from tests.assets_data.domains.text.corpora import documents, raw_of, trained, triples_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    from assets_data.lineage import Store

    root = tmp_path_factory.mktemp("quality")
    store = Store(root / "store")
    texts = {"files-2": documents(40), "files-10": [*documents(25, seed=1), "short", *documents(3, seed=1)]}
    raw = {name: raw_of(store, root / name, lines) for name, lines in texts.items()}
    tokenizer = trained(store, raw.values())
    triples = {name: triples_of(store, snapshot, tokenizer) for name, snapshot in raw.items()}
    return texts, raw, triples, make_quality_summary(store, raw, triples), store


def by_slice(summary):
    return {row["slice"]: row for row in summary.table("slices.parquet").to_pylist()}


def test_counts_are_those_of_the_slices_in_natural_order_and_the_total_is_their_sum(made):
    texts, _, triples, summary, _ = made
    rows = by_slice(summary)
    assert list(rows) == ["files-2", "files-10", TOTAL]
    for name, snapshot in triples.items():
        row = rows[name]
        assert row["records"] == len(texts[name]) and row["missing"] == row["malformed"] == 0
        assert row["documents"] == snapshot.stats["documents"] and row["tokens"] == snapshot.stats["tokens"]
        assert row["rows"] == snapshot.stats["rows"]
        listed = snapshot.table("records.parquet")["split"].to_pylist()
        assert {split: row[split] for split in SPLITS} == {split: listed.count(split) for split in SPLITS}
        lengths = sorted(map(len, texts[name]))
        assert row["characters_per_record_max"] == lengths[-1]
        assert row["characters_per_record_p50"] == lengths[(len(lengths) - 1) // 2]
    for column in ("records", "documents", "rows", "tokens", *SPLITS):
        assert rows[TOTAL][column] == sum(rows[name][column] for name in triples)


def test_every_reason_is_there_with_its_count(made):
    _, _, triples, summary, _ = made
    drops = {(row["slice"], row["reason"]): row["count"] for row in summary.table("drops.parquet").to_pylist()}
    for name, snapshot in triples.items():
        for reason, count in snapshot.read_json("dropped.json").items():
            assert drops[name, reason] == count
    assert drops["files-10", "duplicate"] == drops[TOTAL, "duplicate"] == 3 and drops[TOTAL, "malformed"] == 0


def test_the_bins_hold_every_length_once(made):
    texts, _, _, summary, _ = made
    bins = summary.table("lengths.parquet").to_pylist()
    for name, row in by_slice(summary).items():
        for measure, total in zip(MEASURES, (row["records"], row["documents"]), strict=True):
            own = [one for one in bins if (one["slice"], one["measure"]) == (name, measure)]
            assert sum(one["count"] for one in own) == total
            assert [one["high"] for one in own[:-1]] == [one["low"] for one in own[1:]] and own[0]["low"] == 0
    for one in bins:
        if (one["slice"], one["measure"]) == ("files-10", MEASURES[0]):
            assert one["count"] == sum(one["low"] <= len(text) < one["high"] for text in texts["files-10"])


def test_it_passes_its_schema_and_a_summary_of_nothing_is_refused(made):
    _, _, triples, summary, store = made
    assert schema_failures(summary) == []
    with pytest.raises(DataError) as error:
        make_quality_summary(store, {}, triples)
    assert error.value.code == "QUALITY_EMPTY"
