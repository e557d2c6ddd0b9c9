"""Order: an epoch takes every row once, a row taken out changes nothing before its first use, uses invert batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import keyed_order, mix64
from assets_data.lineage.identity import epoch as epoch_module
from assets_data.lineage.identity.epoch import KeyedEpoch
from training.order import Order

KEYS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), min_size=1, max_size=40).map(
    lambda keys: np.array(keys, np.uint64)
)
SEEDS = st.integers(-(2**63), 2**63)
SIZES = st.integers(1, 50)


@given(SEEDS, st.integers(0, 10**6), KEYS)
def test_an_epoch_is_a_permutation_and_equal_keys_keep_their_stored_order(seed, epoch, keys):
    order = keyed_order(seed, epoch, keys)
    assert sorted(order.tolist()) == list(range(len(keys)))
    for key in set(keys.tolist()):
        same = [row for row in order.tolist() if keys[row] == key]
        assert same == sorted(same)


@given(SEEDS, st.text(max_size=5), st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_the_mix_is_one_to_one(seed, stream, index):
    mixed = mix64(seed, stream, np.array(index, np.uint64))
    assert len(set(mixed.tolist())) == len(set(index))


@given(SEEDS, KEYS, SIZES, st.data())
def test_taking_rows_out_leaves_every_batch_before_their_first_use_as_it_was(seed, keys, size, data):
    gone = data.draw(st.sets(st.integers(0, len(keys) - 1), max_size=len(keys) - 1))
    full, kept = Order(seed, keys, size), np.array([row for row in range(len(keys)) if row not in gone], np.int64)
    first = min((next(full.uses(row, 10**6)) for row in gone), default=5)
    left = Order(seed, keys[kept], size)
    for update in range(first):
        assert kept[left.batch(update)[0]].tolist() == full.batch(update)[0].tolist()


@given(SEEDS, KEYS, SIZES, st.integers(0, 30))
def test_the_uses_of_a_row_are_the_batches_that_hold_it(seed, keys, size, updates):
    order = Order(seed, keys, size)
    batches = [set(order.batch(update)[0].tolist()) for update in range(updates)]
    for row in range(len(keys)):
        expected = [update for update, rows in enumerate(batches) if row in rows]
        assert sorted(set(order.uses(row, updates))) == expected


@given(SEEDS, KEYS, SIZES, st.integers(0, 10**7))
def test_every_row_of_a_batch_is_used_there(seed, keys, size, update):
    order = Order(seed, keys, size)
    rows, epochs = order.batch(update)
    for row, epoch in zip(rows.tolist(), epochs.tolist(), strict=True):
        assert (epoch * len(keys) + order.rank(row, epoch)) // size == update


SPANS = st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=5)


@given(SEEDS, st.integers(0, 10**6), KEYS, st.integers(1, 16), SPANS)
def test_an_epoch_read_by_buckets_has_the_same_rows_at_the_same_places(seed, epoch, keys, bucket_rows, reads):
    whole, lazy = keyed_order(seed, epoch, keys), KeyedEpoch(seed, epoch, keys, bucket_rows)
    for begin, length in reads:
        assert lazy[begin : begin + length].tolist() == whole[begin : begin + length].tolist()
    assert [int(lazy[place]) for place in range(len(lazy))] == whole.tolist()


def test_an_epoch_read_from_end_to_end_reads_the_keys_once_per_bucket_and_the_first_batch_once(monkeypatch):
    monkeypatch.setattr(epoch_module, "CHUNK_ROWS", 1000)
    monkeypatch.setattr(epoch_module, "TASK_CHUNKS", 3)  # many tasks, the last ones cut short
    keys = mix64(3, "keys", np.arange(50_000))
    lazy = KeyedEpoch(7, 0, keys, 1 << 12)
    first = lazy[:100]
    assert lazy.passes == 1 and first.tolist() == keyed_order(7, 0, keys)[:100].tolist()
    taken = np.concatenate([lazy[begin : begin + 512] for begin in range(0, len(lazy), 512)])
    assert (taken == keyed_order(7, 0, keys)).all() and lazy.passes == 16


def test_an_order_over_many_rows_is_the_one_over_few(monkeypatch):
    keys = mix64(3, "keys", np.arange(3000))
    whole = Order(7, keys, 64)
    expected = [whole.batch(update)[0].tolist() for update in range(120)]
    monkeypatch.setattr(epoch_module, "BUCKET_ROWS", 256)
    lazy = Order(7, keys, 64)
    assert [lazy.batch(update)[0].tolist() for update in range(120)] == expected
    assert lazy.rank(expected[3][5], 0) == 3 * 64 + 5
