"""Weighted and curriculum orders: pure, invertible, and as they stood when a row is taken out."""

import itertools
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from assets_data.lineage import ConfigError, DataError, mix64
from training.order import CURRICULUM, EACH_ONCE, WEIGHTED, Order, OrderKind, table_values

N, BATCH, UPDATES = 40, 7, 60
KEYS = mix64(3, "test", np.arange(N, dtype=np.uint64))
WEIGHTS = np.linspace(0.0, 3.0, N)
LEVELS = np.arange(N) % 4.0
BY_WEIGHT = OrderKind(name=WEIGHTED, column="weight")
BY_LEVEL = OrderKind(name=CURRICULUM, column="level", epochs=2)
CASES = [(BY_WEIGHT, WEIGHTS), (BY_LEVEL, LEVELS), (EACH_ONCE, None)]
IDS = ["weighted", "curriculum", "uniform"]


def order_of(kind, values, keys=KEYS, seed=11):
    return Order(seed, keys, BATCH, kind=kind, values=values)


def taken(order, updates=UPDATES):
    """``(update, row, epoch)`` of every row that every update takes, one update after the other."""
    for update in range(updates):
        rows, epochs = order.batch(update)
        yield from ((update, int(row), int(epoch)) for row, epoch in zip(rows, epochs, strict=True))


@pytest.mark.parametrize(("kind", "values"), CASES, ids=IDS)
def test_uses_are_the_updates_that_take_the_row_in_a_replay_of_all(kind, values):
    replayed = {}
    for update, row, _ in taken(order_of(kind, values)):
        replayed.setdefault(row, set()).add(update)
    order = order_of(kind, values)
    for row in range(N):
        assert list(order.uses(row, UPDATES)) == sorted(replayed.get(row, set()))


@pytest.mark.parametrize(("kind", "values"), CASES, ids=IDS)
def test_any_update_can_be_asked_for_first(kind, values):
    calm = [order_of(kind, values).batch(update) for update in range(UPDATES)]
    order = order_of(kind, values)
    for update in (59, 3, 31, 0, 58):
        assert all(np.array_equal(a, b) for a, b in zip(order.batch(update), calm[update], strict=True))
        assert order.epoch(update) == calm[update][1][0]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=IDS)
@pytest.mark.parametrize("gone", [0, 17, 39])
def test_every_batch_before_a_rows_first_use_is_the_same_without_it(kind, values, gone):
    first = (
        next(order_of(kind, values).uses(gone, 10**6), None)
        if values is None or values[gone] or kind is BY_LEVEL
        else None
    )
    left = np.delete(np.arange(N), gone)
    without = order_of(kind, None if values is None else values[left], KEYS[left])
    for update in range(first if first is not None else 4):
        rows, _ = order_of(kind, values).batch(update)
        assert np.array_equal(left[without.batch(update)[0]], rows)


def test_a_row_of_weight_w_is_taken_floor_or_ceiling_of_w_times_an_epoch_and_w_times_on_average():
    order, epochs = order_of(BY_WEIGHT, WEIGHTS), 400
    counts = Counter((row, epoch) for _, row, epoch in taken(order, 400 * 60 // BATCH) if epoch < epochs)
    whole = max(epoch for _, epoch in counts)  # the last one is cut off
    for row in range(N):
        times = np.array([counts[row, epoch] for epoch in range(whole)])
        assert times.min() >= np.floor(WEIGHTS[row]) and times.max() <= np.ceil(WEIGHTS[row])
        spread = np.sqrt(0.25 / whole)
        assert abs(times.mean() - WEIGHTS[row]) <= 4 * spread


def test_weights_of_one_give_the_uniform_order():
    ones = list(taken(order_of(BY_WEIGHT, np.ones(N))))
    assert ones == list(taken(order_of(EACH_ONCE, None)))
    assert ones != list(taken(order_of(BY_WEIGHT, np.ones(N), seed=12)))


def test_copies_of_a_row_do_not_follow_each_other():
    order = order_of(BY_WEIGHT, np.full(N, 2.0))
    rows = [row for _, row, epoch in taken(order) if epoch == 0]
    assert sorted(rows) == sorted([*range(N), *range(N)])
    assert sum(a == b for a, b in itertools.pairwise(rows)) < N // 4


def test_a_curriculum_goes_level_by_level_and_then_is_over():
    order = order_of(BY_LEVEL, LEVELS)
    by_epoch = {}
    for _, row, epoch in taken(order):
        by_epoch.setdefault(epoch, []).append(row)
    for epoch in (0, 1):
        levels = LEVELS[by_epoch[epoch]]
        assert sorted(by_epoch[epoch]) == list(range(N)) and (np.diff(levels) >= 0).all()
    assert by_epoch[0] != by_epoch[1]
    uniform = [row for _, row, epoch in taken(order_of(EACH_ONCE, None)) if epoch == 2]
    assert by_epoch[2] == uniform


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "random"},
        {"name": WEIGHTED},
        {"column": "weight"},
        {"name": CURRICULUM, "column": "level"},
        {"name": WEIGHTED, "column": "weight", "epochs": 2},
    ],
)
def test_settings_that_belong_to_no_kind_are_refused(settings):
    with pytest.raises(ConfigError, match="ORDER_KIND"):
        OrderKind(**settings)


@pytest.mark.parametrize("values", [None, np.ones(N - 1), np.full(N, np.nan), np.full(N, -1.0), np.zeros(N)])
def test_values_that_make_no_order_are_refused(values):
    with pytest.raises(DataError, match="ORDER_VALUES"):
        order_of(BY_WEIGHT, values)


def test_the_kind_is_recorded_and_a_uniform_record_is_as_it_always_was():
    assert order_of(BY_LEVEL, LEVELS).record(5, ())["kind"] == {"name": "curriculum", "column": "level", "epochs": 2}
    assert set(order_of(EACH_ONCE, None).record(5, ())) == {"seed", "batch_rows", "updates", "tables"}


def test_every_chunk_of_a_row_has_its_value():
    assert table_values(np.array([1.0, 2.0]), 3).tolist() == [1, 1, 1, 2, 2, 2]
    assert table_values(np.array([1.0, 2.0]), 0).tolist() == [1, 2]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=IDS)
def test_two_threads_that_ask_at_the_same_time_are_given_what_one_is(kind, values):
    """One makes batches ahead, the other asks for epochs and, where a number is not finite, for rows."""

    def asked(order):
        return [(order.epoch(update), *map(list, order.batch(update))) for update in range(UPDATES)]

    expected, switching = asked(order_of(kind, values)), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            for order in (order_of(kind, values) for _ in range(40)):
                assert list(threads.map(asked, [order, order])) == [expected, expected]
    finally:
        sys.setswitchinterval(switching)


def test_what_a_weighted_order_remembers_is_right_when_another_thread_asks_while_it_counts():
    class Interrupted(Order):
        def _length(self, epoch):
            found = super()._length(epoch)
            if not asked:
                asked.append(epoch)
                self.epoch(0)
            return found

    asked = []
    order = Interrupted(11, KEYS, BATCH, kind=BY_WEIGHT, values=WEIGHTS)
    assert list(taken(order)) == list(taken(order_of(BY_WEIGHT, WEIGHTS)))
