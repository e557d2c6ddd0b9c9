import numpy as np
import pytest

from assets_data.lineage import DataError, Store
from tests.training.recipes.hrm_lm.conftest import tiny
from tests.training.triples import BOS, EOS, PAD, SIZES, make_manifest, make_tokenizer, make_triples, publish, windows
from training.recipes.hrm_lm.arithmetic import question
from training.tokens.data import keyed_choice
from training.tokens.rows import longest, tokens_per_row


def expected(split):
    return [w.tolist() for name in ("s-0", "s-1") for w in windows(name, split, SIZES[split])]


def test_rows_of_all_slices_follow_each_other_in_sorted_slice_order(data):
    for split in ("train", "validation", "test"):
        rows = getattr(data, split)
        assert len(rows) == 2 * SIZES[split] == len(rows.row_keys)
        for row, tokens in enumerate(expected(split)):
            half = len(tokens) // 2
            example = rows[row]
            assert example.encoder_ids.tolist() == [BOS, *tokens[:half]]
            assert example.decoder_input_ids.tolist() == [BOS, *tokens[half:]]
            assert example.labels.tolist() == [*tokens[half:], EOS]


def test_the_tables_name_where_every_training_rows_key_is_stored(data, triples_store):
    keys = [triples_store.snapshot(t.snapshot).table(t.file)["row_key"].to_numpy() for t in data.tables]
    assert [t.chunks for t in data.tables] == [0, 0]
    assert np.array_equal(np.concatenate(keys), data.row_keys)


def test_ids_come_from_the_layout_and_every_id_read_is_a_member(data, manifest):
    members = manifest.read_json("manifest.json")["members"]
    assert (data.layout.pad, data.layout.bos, data.layout.eos, data.layout.vocab_size) == (PAD, BOS, EOS, 12)
    assert data.members == {
        "tokenizer": members["tokenizer"],
        "triples/s-0": members["triples"]["s-0"],
        "triples/s-1": members["triples"]["s-1"],
    }


def test_labels_are_ignored_exactly_where_padded(data, recipe):
    rows = np.array([3, 100, 41, 7])
    batch = recipe.batch(data, tiny(), rows, np.zeros(4, np.int64))
    for i, row in enumerate(rows):
        example = data[row]
        reads, writes = len(example.encoder_ids), len(example.labels)
        assert batch["encoder_ids"][i, :reads].tolist() == example.encoder_ids.tolist()
        assert batch["encoder_mask"][i].tolist() == [True] * reads + [False] * (batch["encoder_ids"].shape[1] - reads)
        assert batch["labels"][i, :writes].tolist() == example.labels.tolist()
        assert (batch["labels"][i, writes:] == -100).all() and (batch["decoder_ids"][i, writes:] == PAD).all()
        assert batch["decoder_ids"][i, :writes].tolist() == example.decoder_input_ids.tolist()
    assert recipe.items(batch) == sum(len(data[row].labels) for row in rows)


def test_held_out_rows_make_batches_too(data, recipe):
    batch = recipe.batch(data.validation, tiny(), np.array([0, 5]), np.zeros(2, np.int64))
    assert batch["encoder_ids"].shape[0] == 2


def test_sizes_are_those_of_the_rows(data, sums):
    for rows in (data.train, sums.train):
        examples = [rows[row] for row in range(len(rows))]
        assert longest(rows) == max(len(ids) for example in examples for ids in example)
        assert tokens_per_row(rows) == pytest.approx(np.mean([len(e.encoder_ids) + len(e.labels) for e in examples]))


def test_a_manifest_without_triples_is_refused(tmp_path, recipe):
    store = Store(tmp_path)
    manifest = publish(store, {}, make_tokenizer(store))
    with pytest.raises(DataError) as caught:
        recipe.open_data(store, {"manifest": manifest}, tiny())
    assert caught.value.code == "MANIFEST_NO_MEMBER"


def test_slices_made_with_different_tokenizers_are_refused(tmp_path, recipe):
    store = Store(tmp_path)
    one, other = make_tokenizer(store), make_tokenizer(store, "another")
    slices = {"a": make_triples(store, "a", one, SIZES, 1), "b": make_triples(store, "b", other, SIZES, 1)}
    with pytest.raises(DataError) as caught:
        recipe.open_data(store, {"manifest": publish(store, slices, one)}, tiny())
    assert caught.value.code == "TRIPLES_LAYOUTS"


def test_ids_become_text_without_specials(data):
    assert data.decode([BOS, 4, 5, 6, 10, EOS]) == "the cat sat\n"
    assert data.decode([11]) == "é"


def test_a_keyed_choice_depends_on_the_keys_and_not_on_their_places(data):
    keys = data.test.row_keys
    chosen = keyed_choice(keys, 5, 0, "x")
    shuffle = np.random.default_rng(0).permutation(len(keys))
    assert np.array_equal(keys[shuffle][keyed_choice(keys[shuffle], 5, 0, "x")], keys[chosen])
    assert not np.array_equal(chosen, keyed_choice(keys, 5, 1, "x"))


def test_every_sum_is_in_one_split_and_no_held_out_pair_is_trained_on_in_either_order(sums):
    pairs = {split: {tuple(p) for p in getattr(sums, split).pairs_N2.tolist()} for split in ("train", "test")}
    watched = {tuple(p) for p in sums.validation.pairs_N2.tolist()}
    assert len(pairs["train"]) + len(pairs["test"]) + len(watched) == 90 * 90
    for held in (pairs["test"], watched):
        assert 600 < len(held) < 1000
        assert not pairs["train"] & (held | {(b, a) for a, b in held})
    assert len(np.unique(np.concatenate([sums.train.row_keys, sums.test.row_keys, sums.validation.row_keys]))) == 8100


def test_a_sum_is_asked_and_answered_in_plain_text(sums):
    row = sums.train.pairs_N2.tolist().index([10, 95]) if [10, 95] in sums.train.pairs_N2.tolist() else 0
    a, b = sums.train.pairs_N2[row].tolist()
    example = sums.train[row]
    assert sums.decode(example.encoder_ids) == question(a, b) == f"What is {a} + {b}?"
    assert sums.decode(example.labels) == str(a + b) and example.labels[-1] == sums.layout.eos


def test_another_data_seed_holds_out_other_pairs_and_the_training_seed_does_not(triples_store, manifest, recipe, sums):
    def heldout(**overrides):
        config = tiny(**{"data.source": "arithmetic", **overrides})
        return recipe.open_data(triples_store, {"manifest": manifest}, config).test.pairs_N2.tolist()

    assert heldout(**{"train.seed": 5}) == sums.test.pairs_N2.tolist() != heldout(**{"data.seed": 5})


def test_one_batch_or_many_make_the_same_rows(tmp_path, recipe, data):
    store = Store(tmp_path)
    whole = recipe.open_data(store, {"manifest": make_manifest(store, batches=1)}, tiny())
    assert all(np.array_equal(whole[r].labels, data[r].labels) for r in range(len(data)))
