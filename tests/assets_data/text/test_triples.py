"""Triples: every kept token once, as views of one stored row; the same id however the work is cut up."""

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from assets_data.lineage import DataError, IntegrityError, Store
from assets_data.lineage.code import ROOT
from assets_data.text.config import PRESETS, TextConfig, TriplesConfig
from assets_data.text.documents import iter_documents
from assets_data.text.prefetch import ahead
from assets_data.text.split import SPLITS
from assets_data.text.tokenizer import BOS, EOS, load_tokenizer
from assets_data.text.triples import iter_windows, make_triples, rows_schema, triple
from tests.assets_data.text.corpora import TEXT, documents, raw_of, trained


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A raw slice with documents worth dropping, its tokenizer and its triples. Read-only."""
    root = tmp_path_factory.mktemp("triples")
    store = Store(root / "store")
    texts = documents(60)
    raw = raw_of(store, root / "in", [*texts, *texts[:3], "short", "1234, " * 20])
    tokenizer = trained(store, raw)
    return store, raw, tokenizer, make_triples(store, raw, tokenizer, TEXT)


def rows_of(triples):
    return [(split, row) for split in SPLITS for row in triples.table(f"{split}.arrow").to_pylist()]


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_windows_are_the_documents_tokens_in_order_and_in_their_split(chain):
    _, raw, tokenizer, triples = chain
    encoder = load_tokenizer(tokenizer)
    for split in SPLITS:
        expected = []
        for frame in iter_documents(raw, TEXT.documents, Counter()):
            for text in frame.filter(frame["split"] == split)["text"]:
                ids = encoder.encode(text, add_special_tokens=False).ids
                expected += [ids[i : i + 32] for i in range(0, len(ids), 32) if len(ids[i : i + 32]) >= 4]
        found = []
        for values, offsets in iter_windows(triples, split):
            found += [values[a:b].tolist() for a, b in pairwise(offsets)]
        assert found == expected and len(found) == triples.content["splits"][split] > 0


def test_encoder_and_decoder_share_no_token_and_labels_are_the_decoder_input_shifted(chain):
    _, _, _, triples = chain
    for split in SPLITS:
        table = triples.table(f"{split}.arrow")
        windows = [w for values, offsets in iter_windows(triples, split) for w in np.split(values, offsets[1:-1])]
        for i, window in enumerate(windows):
            encoder_ids, decoder_input_ids, labels = triple(table, i)
            assert encoder_ids[0] == decoder_input_ids[0] == BOS and labels[-1] == EOS
            assert decoder_input_ids[1:].tolist() == labels[:-1].tolist()
            assert [*encoder_ids[1:], *labels[:-1]] == window.tolist()


def test_a_triple_is_three_views_of_one_row_of_the_mapped_file(chain):
    _, _, _, triples = chain
    allocated = pa.total_allocated_bytes()
    table = triples.table("train.arrow")
    stored = table["tokens"].chunk(0).values.to_numpy()
    assert pa.total_allocated_bytes() == allocated  # mapped, not read
    assert all(np.shares_memory(view, stored) for view in triple(table, 5))


def test_documents_name_record_origin_split_and_text_of_every_row(chain):
    _, raw, _, triples = chain
    split_of = {row["record_id"]: row["split"] for row in triples.table("records.parquet").to_pylist()}
    assert {row["record_id"]: split for split, row in rows_of(triples)} == split_of
    origins = {row["record_id"]: row["origin"] for row in raw.table("records.parquet").to_pylist()[::-1]}
    assert all(origins[row["record_id"]] == row["origin"] for row in triples.table("records.parquet").to_pylist())
    assert triples.content["records"]["count"] == len(split_of) == 60


def test_what_is_dropped_is_counted_by_reason(chain):
    _, _, _, triples = chain
    dropped = triples.read_json("dropped.json")
    short = dropped.pop("short_window")
    assert dropped == {"duplicate": 3, "too_short": 1, "few_letters": 1, "too_long": 0, "repetitive": 0} and short > 0


def test_a_document_without_a_window_is_not_listed(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    strict = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, window=200, min_window=200))
    fewer = make_triples(Store(tmp_path), raw, tokenizer, strict)
    listed = set(fewer.table("records.parquet")["record_id"].to_pylist())
    assert listed == {row["record_id"] for _, row in rows_of(fewer)}
    assert len(listed) == fewer.content["records"]["count"] < triples.content["records"]["count"]


def test_row_keys_are_distinct_and_starts_are_token_positions(chain):
    _, _, _, triples = chain
    rows = rows_of(triples)
    assert len({row["row_key"] for _, row in rows}) == len(rows)
    for split, row in rows:
        assert row["start"] % 32 == 0 and row["encoder_begin"] == 0 and row["decoder_end"] == len(row["tokens"]), split


def test_the_size_of_batches_changes_nothing(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    for size in (1, 5_000):
        config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, batch_bytes=size))
        assert make_triples(Store(tmp_path / str(size)), raw, tokenizer, config).id == triples.id


def test_roots_threads_and_hash_seeds_change_nothing(tmp_path):
    script = (
        "import sys; from pathlib import Path; from assets_data.lineage import Store; "
        "from assets_data.text.triples import make_triples; from tests.assets_data.text.corpora import *; "
        "store = Store(Path(sys.argv[1])); raw = raw_of(store, store.root / 'in', documents(100)); "
        "tokenizer = trained(store, raw); print(raw.id, tokenizer.id, make_triples(store, raw, tokenizer, TEXT).id)"
    )

    def ids(threads):
        environment = {
            **os.environ,
            "RAYON_NUM_THREADS": threads,
            "POLARS_MAX_THREADS": threads,
            "PYTHONHASHSEED": threads,
        }
        command = [sys.executable, "-c", script, str(tmp_path / threads)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    assert ids("1") == ids("3")


def test_window_pivot_and_seed_change_the_id(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    for change in ({"window": 33}, {"min_window": 5}, {"pivot_high": 0.7}, {"pivot_low": 0.3}, {"seed": 8}):
        config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, **change))
        assert make_triples(Store(tmp_path / str(change)), raw, tokenizer, config).id != triples.id, change


def test_a_tokenizer_that_saw_another_training_split_is_refused(chain):
    store, raw, tokenizer, _ = chain
    other = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, seed=99))
    with pytest.raises(DataError) as error:
        make_triples(store, raw, tokenizer, other)
    assert error.value.code == "TRIPLES_TOKENIZER_SPLIT"


def test_a_slice_without_a_window_is_refused(chain, store, tmp_path):
    _, _, tokenizer, _ = chain
    with pytest.raises(DataError) as error:
        make_triples(store, raw_of(store, tmp_path / "in", ["short"]), tokenizer, TEXT)
    assert error.value.code == "TRIPLES_EMPTY" and error.value.found["too_short"] == 1


def test_f13_a_raw_slice_changed_after_it_was_published_stops_the_work(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    tokenizer = trained(store, raw)
    flip_byte(raw.file("records.parquet"))
    with pytest.raises(IntegrityError, match=r"records\.parquet"):
        make_triples(store, raw, tokenizer, TEXT)


def test_f14_a_flipped_byte_is_found_and_the_same_call_heals_it(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    tokenizer = trained(store, raw)
    triples = make_triples(store, raw, tokenizer, TEXT)
    flip_byte(triples.file("train.arrow"))
    with pytest.raises(IntegrityError, match=r"train\.arrow"):
        triples.verify()
    healed = make_triples(store, raw, tokenizer, TEXT)
    healed.verify(deep=True)
    assert healed.id == triples.id and not healed.reused


def test_f22_splits_swapped_with_each_other_are_found(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    triples = make_triples(store, raw, trained(store, raw), TEXT)
    train, test = triples.file("train.arrow"), triples.file("test.arrow")
    content = train.read_bytes()
    train.write_bytes(test.read_bytes())
    test.write_bytes(content)
    with pytest.raises(IntegrityError):
        triples.verify()


def test_tokens_take_two_bytes_while_the_vocabulary_fits_and_four_beyond(chain):
    _, _, _, triples = chain
    assert triples.table("train.arrow").schema.field("tokens").type == pa.large_list(pa.uint16())
    assert rows_schema(np.dtype(np.uint32)).field("tokens").type == pa.large_list(pa.uint32())


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole_configs(preset):
    assert isinstance(PRESETS[preset](), TextConfig) and PRESETS[preset]().triples.window <= TriplesConfig().window


def test_working_ahead_keeps_order_and_raises_an_error_in_its_place():
    def items():
        yield from range(3)
        raise DataError("BROKEN", "the fourth item cannot be made")

    seen = []
    with pytest.raises(DataError, match="fourth"):
        for item in ahead(items()):
            seen.append(item)
    assert seen == [0, 1, 2]
