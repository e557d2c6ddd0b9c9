import numpy as np

from assets_data.lineage import keyed_order
from training.order import Order

KEYS = np.random.default_rng(0).integers(0, 2**63, 23, dtype=np.uint64)


def stream(order: Order, updates: int) -> np.ndarray:
    return np.concatenate([order.batch(update)[0] for update in range(updates)])


def test_every_epoch_takes_every_row_once_and_drops_none():
    taken = stream(Order(7, KEYS, 4), 23)  # 92 positions: four epochs of 23
    for epoch in range(4):
        assert sorted(taken[epoch * 23 : (epoch + 1) * 23]) == list(range(23))


def test_epochs_have_different_orders_and_seeds_too():
    taken = stream(Order(7, KEYS, 23), 2).reshape(2, 23)
    assert (taken[0] != taken[1]).any()
    assert (Order(8, KEYS, 23).batch(0)[0] != taken[0]).any()


def test_a_batch_reports_the_epoch_of_each_row_across_an_edge():
    rows, epochs = Order(7, KEYS, 4).batch(5)
    assert epochs.tolist() == [0, 0, 0, 1] and len(rows) == 4


def test_any_update_is_reached_without_those_before_it():
    walked = Order(7, KEYS, 4)
    for update in range(30):
        expected = walked.batch(update)[0]
    assert (Order(7, KEYS, 4).batch(29)[0] == expected).all()


def test_a_batch_larger_than_the_corpus_spans_epochs():
    rows, epochs = Order(7, KEYS[:3], 8).batch(0)
    assert np.bincount(rows).tolist() == [3, 3, 2] or sorted(np.bincount(rows)) == [2, 3, 3]
    assert epochs.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_withdrawing_a_row_keeps_every_batch_before_its_first_use():
    full = Order(7, KEYS, 4)
    for withdrawn in range(23):
        first_use = next(full.uses(withdrawn, 10**6))
        left = Order(7, np.delete(KEYS, withdrawn), 4)
        for update in range(first_use):
            keys = np.delete(KEYS, withdrawn)[left.batch(update)[0]]
            assert (keys == KEYS[full.batch(update)[0]]).all()


def test_the_uses_of_a_row_agree_with_replaying_every_batch():
    order = Order(7, KEYS, 4)
    for row in range(23):
        replayed = [update for update in range(40) if row in order.batch(update)[0]]
        assert list(order.uses(row, 40)) == replayed


def test_the_epoch_of_an_update_is_that_of_its_first_row():
    order = Order(7, KEYS, 4)
    assert [order.epoch(u) for u in range(20)] == [int(order.batch(u)[1][0]) for u in range(20)]


def test_the_rank_of_a_row_is_its_place_in_the_epoch_equal_keys_in_their_stored_order():
    keys = np.concatenate([KEYS, KEYS[:9], KEYS[:4]])
    order = Order(7, keys, 4)
    for epoch in range(3):
        place = np.empty(len(keys), np.int64)
        place[keyed_order(7, epoch, keys)] = np.arange(len(keys))
        assert [order.rank(row, epoch) for row in range(len(keys))] == place.tolist()


def test_a_sort_that_remembers_gives_the_same_order():
    asked = []

    def remembering(seed, epoch, keys):
        asked.append(epoch)
        return keyed_order(seed, epoch, keys)

    order = Order(7, KEYS, 4, remembering)
    assert (stream(order, 12) == stream(Order(7, KEYS, 4), 12)).all()
    assert asked == [0, 1, 2]
