"""Triples: every kept token once, as views of one stored row; the same id however the work is cut up."""

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from assets_data.domains.text.checks import label_leaks, misplaced_rows
from assets_data.domains.text.config import PRESETS, TextConfig, TriplesConfig
from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.domains.text.prefetch import ahead
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.read import SPANS, SPLITS, TripleTable
from assets_data.domains.text.rows import rows_schema
from assets_data.domains.text.schemas import schema_failures
from assets_data.domains.text.tokenizer import BOS, EOS, load_tokenizer
from assets_data.domains.text.triples import iter_windows, make_triples
from assets_data.lineage import DataError, IntegrityError, Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.extract_config import ExtractConfig, QaConfig
from tests.assets_data.domains.text.corpora import (
    TEXT,
    documents,
    documents_of,
    raw_of,
    rows_of,
    source_of,
    trained,
    triples_of,
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A raw slice with documents worth dropping, its tokenizer and its triples. Read-only."""
    root = tmp_path_factory.mktemp("triples")
    store = Store(root / "store")
    texts = documents(60)
    raw = raw_of(store, root / "in", [*texts, *texts[:3], "short", "1234, " * 20])
    tokenizer = trained(store, raw)
    return store, raw, tokenizer, triples_of(store, raw, tokenizer, TEXT)


def stored_rows(triples):
    return [(split, row) for split in SPLITS for row in triples.table(f"{split}.arrow").to_pylist()]


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_windows_are_the_documents_tokens_in_order_and_in_their_split(chain):
    store, raw, tokenizer, triples = chain
    encoder = load_tokenizer(tokenizer)
    for split in SPLITS:
        expected = []
        for row in rows_of(documents_of(store, raw)):
            if row["split"] == split:
                ids = encoder.encode(row["text"], add_special_tokens=False).ids
                expected += [ids[i : i + 32] for i in range(0, len(ids), 32) if len(ids[i : i + 32]) >= 4]
        found = []
        for values, offsets in iter_windows(triples, split):
            found += [values[a:b].tolist() for a, b in pairwise(offsets)]
        assert found == expected and len(found) == triples.content["splits"][split] > 0


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Questions and answers of 1 to 40 words beside three plain texts, in one raw slice with its tokenizer."""
    root = tmp_path_factory.mktemp("pairs")
    store = Store(root / "store")
    words = " ".join(documents(30)).split()
    rows = [
        {"q": " ".join(words[i : i + 1 + i % 40]), "a": f"{i} " + " ".join(words[-9 - i % 7 : -8])} for i in range(200)
    ]
    rows += [{"q": "tell all", "a": " ".join(words[:90])}, {"q": "say it again", "a": "say it again"}]
    (root / "in").mkdir()
    (root / "in" / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    extract = ExtractConfig(qa=QaConfig(question="q", answer="a"))
    raw = make_raw_slice(store, "files-0", source_of(root / "in", extract=extract))
    config = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, min_chars=1, min_letter_share=0.0))
    return store, raw, trained(store, raw, config), config, rows


def texts_of(tokenizer, views):
    encoder = load_tokenizer(tokenizer)
    return tuple(encoder.decode(ids.tolist(), skip_special_tokens=False) for ids in (views[0][1:], views[2][:-1]))


@pytest.mark.parametrize("truncate", [False, True])
def test_a_pairs_encoder_reads_the_prompt_and_its_labels_are_the_response(pairs, tmp_path, truncate):
    _, raw, tokenizer, config, rows = pairs
    config = dataclasses.replace(config, triples=dataclasses.replace(config.triples, truncate_prompts=truncate))
    triples = triples_of(Store(tmp_path), raw, tokenizer, config)
    encoder = load_tokenizer(tokenizer)
    expected, long = {}, 0
    for row in rows[:-1]:
        prompt, response = (encoder.encode(row[key], add_special_tokens=False).ids for key in "qa")
        start = len(prompt) + len(response) - config.triples.window
        if start > 0 and (not truncate or start >= len(prompt)):
            long += 1
        else:
            expected[row["a"]] = (row["q"], max(0, start), encoder.decode(prompt[max(0, start) :]))
    found = {}
    for split in SPLITS:
        table = TripleTable(triples.file(f"{split}.arrow"))
        for views, row in zip(table, table.table.to_pylist(), strict=True):
            prompt, response = texts_of(tokenizer, views)
            found[response] = (row["start"], prompt)
    dropped = triples.read_json("dropped.json")
    assert found == {response: (start, seen) for response, (_, start, seen) in expected.items()}
    assert (
        dropped["long_pair"] == long > 0
        and dropped["echo"] == 1
        and any(start for start, _ in found.values()) is truncate
    )
    assert label_leaks(triples).passed and misplaced_rows(triples).passed


def test_the_tokenizer_is_trained_on_prompts_and_responses(pairs):
    store, raw, tokenizer, config, _ = pairs
    training = [row for row in rows_of(documents_of(store, raw, config)) if row["split"] == "train"]
    assert any(row["prompt"] for row in training)
    characters = sum(len(row["prompt"]) + len(row["text"]) for row in training)
    assert tokenizer.read_json("trained_on.json")["characters"] == characters
    assert tokenizer.read_json("trained_on.json")["documents"] == len(training)


def test_overlapping_windows_share_tokens_with_the_one_before_and_stay_in_one_split(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, overlap=8))
    overlapping = triples_of(Store(tmp_path), raw, tokenizer, config)
    assert overlapping.stats["rows"] > triples.stats["rows"] and label_leaks(overlapping).passed
    windows, split_of = {}, {}
    for split in SPLITS:
        pieces = [w for values, offsets in iter_windows(overlapping, split) for w in np.split(values, offsets[1:-1])]
        for row, window in zip(overlapping.table(f"{split}.arrow").to_pylist(), pieces, strict=True):
            windows[row["record_id"], row["start"]] = window.tolist()
            assert split_of.setdefault(row["record_id"], split) == split
    followed = [(key, (key[0], key[1] + 24)) for key in windows if (key[0], key[1] + 24) in windows]
    assert followed and all(windows[first][24:] == windows[second][:8] for first, second in followed)


def test_any_row_of_the_table_is_read_by_its_number_across_batches(chain, tmp_path):
    _, raw, tokenizer, _triples = chain
    config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, batch_bytes=3000))
    many = triples_of(Store(tmp_path), raw, tokenizer, config)
    table = TripleTable(many.file("train.arrow"))
    assert len(table.table.to_batches()) > 5 and len(table) == many.content["splits"]["train"]
    for number, row in enumerate(table.table.to_pylist()):
        ids, a, b, c, d = (row[name] for name in ("tokens", *SPANS))
        assert [view.tolist() for view in table[number]] == [ids[a:b], ids[c : d - 1], ids[c + 1 : d]]
    for beyond in (len(table), -1):
        with pytest.raises(IndexError):
            table[beyond]


def test_encoder_and_decoder_share_no_token_and_labels_are_the_decoder_input_shifted(chain):
    _, _, _, triples = chain
    for split in SPLITS:
        table = TripleTable(triples.file(f"{split}.arrow"))
        windows = [w for values, offsets in iter_windows(triples, split) for w in np.split(values, offsets[1:-1])]
        for i, window in enumerate(windows):
            encoder_ids, decoder_input_ids, labels = table[i]
            assert encoder_ids[0] == decoder_input_ids[0] == BOS and labels[-1] == EOS
            assert decoder_input_ids[1:].tolist() == labels[:-1].tolist()
            assert [*encoder_ids[1:], *labels[:-1]] == window.tolist()


def test_a_triple_is_three_views_of_one_row_of_the_mapped_file(chain):
    _, _, _, triples = chain
    allocated = pa.total_allocated_bytes()
    table = TripleTable(triples.file("train.arrow"))
    stored = table.table["tokens"].chunk(0).values.to_numpy()
    assert pa.total_allocated_bytes() == allocated  # mapped, not read
    assert all(np.shares_memory(view, stored) for view in table[5])


def test_documents_name_record_origin_split_and_text_of_every_row(chain):
    _, raw, _, triples = chain
    split_of = {row["record_id"]: row["split"] for row in triples.table("records.parquet").to_pylist()}
    assert {row["record_id"]: split for split, row in stored_rows(triples)} == split_of
    origins = {row["record_id"]: row["origin"] for row in raw.table("records.parquet").to_pylist()[::-1]}
    assert all(origins[row["record_id"]] == row["origin"] for row in triples.table("records.parquet").to_pylist())
    assert triples.content["records"]["count"] == len(split_of) == 60


def test_what_is_dropped_is_counted_by_reason(chain):
    _, _, _, triples = chain
    dropped = triples.read_json("dropped.json")
    short = dropped.pop("short_window")
    assert {reason: count for reason, count in dropped.items() if count} == {
        "duplicate": 3,
        "too_short": 1,
        "few_letters": 1,
    }
    assert short > 0 and dropped["long_pair"] == dropped["echo"] == 0


def test_a_document_without_a_window_is_not_listed(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    strict = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, window=200, min_window=200))
    fewer = triples_of(Store(tmp_path), raw, tokenizer, strict)
    listed = set(fewer.table("records.parquet")["record_id"].to_pylist())
    assert listed == {row["record_id"] for _, row in stored_rows(fewer)}
    assert len(listed) == fewer.content["records"]["count"] < triples.content["records"]["count"]


def test_row_keys_are_distinct_and_starts_are_token_positions(chain):
    _, _, _, triples = chain
    rows = stored_rows(triples)
    assert len({row["row_key"] for _, row in rows}) == len(rows)
    for split, row in rows:
        assert row["start"] % 32 == 0 and row["encoder_begin"] == 0 and row["decoder_end"] == len(row["tokens"]), split


def test_the_size_of_batches_changes_nothing(chain, tmp_path):
    _, raw, tokenizer, triples = chain
    for size in (1, 5_000):
        config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, batch_bytes=size))
        assert triples_of(Store(tmp_path / str(size)), raw, tokenizer, config).id == triples.id


def test_roots_threads_and_hash_seeds_change_nothing(tmp_path):
    script = (
        "import sys; from pathlib import Path; from assets_data.lineage import Store; "
        "from tests.assets_data.domains.text.corpora import *; "
        "store = Store(Path(sys.argv[1])); raw = raw_of(store, store.root / 'in', documents(100)); "
        "tokenizer = trained(store, raw); print(raw.id, tokenizer.id, triples_of(store, raw, tokenizer, TEXT).id)"
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
    for change in (
        {"window": 33},
        {"min_window": 5},
        {"overlap": 1},
        {"pivot_high": 0.7},
        {"pivot_low": 0.3},
        {"seed": 8},
    ):
        config = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, **change))
        assert triples_of(Store(tmp_path / str(change)), raw, tokenizer, config).id != triples.id, change


def test_a_tokenizer_that_saw_another_training_split_is_refused(chain):
    store, raw, tokenizer, _ = chain
    other = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, seed=99))
    with pytest.raises(DataError) as error:
        triples_of(store, raw, tokenizer, other)
    assert error.value.code == "TRIPLES_TOKENIZER_SPLIT"


def test_a_slice_without_a_window_is_a_slice_and_a_dataset_of_nothing_else_is_refused(chain, store, tmp_path):
    _, _, tokenizer, whole = chain
    empty = triples_of(store, raw_of(store, tmp_path / "in", ["short"]), tokenizer, TEXT)
    assert empty.content["splits"] == dict.fromkeys(SPLITS, 0) and empty.content["records"]["count"] == 0
    assert stored_rows(empty) == [] and schema_failures(empty) == []
    assert +Counter(empty.read_json("dropped.json")) == {"too_short": 1}
    with pytest.raises(DataError) as error:
        make_dataset_manifest(store, {"files-0": empty}, tokenizer)
    assert error.value.code == "MANIFEST_EMPTY" and error.value.found["files-0"]["too_short"] == 1
    manifest = make_dataset_manifest(store, {"files-0": empty, "files-1": whole}, tokenizer)
    assert manifest.read_json("manifest.json")["splits"]["triples"] == whole.content["splits"]


def test_f13_a_raw_slice_or_documents_changed_after_they_were_published_stop_the_work(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    tokenizer, documents_made = trained(store, raw), documents_of(store, raw)
    flip_byte(raw.file("records.parquet"))
    with pytest.raises(IntegrityError, match=r"records\.parquet"):
        triples_of(store, raw, tokenizer, TEXT)
    flip_byte(documents_made.file("documents.parquet"))
    with pytest.raises(IntegrityError, match=r"documents\.parquet"):
        make_triples(store, documents_made, tokenizer, TEXT)


def test_f14_a_flipped_byte_is_found_and_the_same_call_heals_it(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    tokenizer = trained(store, raw)
    triples = triples_of(store, raw, tokenizer, TEXT)
    flip_byte(triples.file("train.arrow"))
    with pytest.raises(IntegrityError, match=r"train\.arrow"):
        triples.verify()
    healed = triples_of(store, raw, tokenizer, TEXT)
    healed.verify(deep=True)
    assert healed.id == triples.id and not healed.reused


def test_f22_splits_swapped_with_each_other_are_found(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    triples = triples_of(store, raw, trained(store, raw), TEXT)
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
