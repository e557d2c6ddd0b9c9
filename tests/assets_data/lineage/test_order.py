"""Keyed order: stateless, uniform enough, stable under withdrawal."""

import numpy as np
import pytest

from assets_data.lineage import keyed_order, mix64, uniform01

KEYS = mix64(0, "rows", np.arange(5000, dtype=np.uint64))


def test_golden_values_do_not_drift():
    """A changed mix would silently change every training order and every split."""
    assert mix64(42, "stream", np.array([0, 1, 2**63], dtype=np.uint64)).tolist() == GOLDEN


def test_seed_stream_and_index_each_change_the_bits():
    index = np.arange(1000, dtype=np.uint64)
    base = mix64(1, "a", index)
    assert len(np.unique(base)) == 1000
    assert not np.any(base == mix64(2, "a", index)) and not np.any(base == mix64(1, "b", index))


def test_uniform01_fills_the_interval_evenly():
    draws = uniform01(3, "u", np.arange(100_000, dtype=np.uint64))
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert draws.min() >= 0 and draws.max() < 1
    assert np.abs(counts - 5000).max() < 350  # five standard deviations of a binomial count


def test_epochs_are_permutations_that_differ():
    first, second = keyed_order(7, 0, KEYS), keyed_order(7, 1, KEYS)
    assert np.array_equal(np.sort(first), np.arange(5000)) and not np.array_equal(first, second)


@pytest.mark.parametrize("gone", [0, 17, 4999])
def test_taking_a_row_out_keeps_everyone_elses_order(gone):
    kept = np.delete(np.arange(5000), gone)
    without = kept[keyed_order(7, 0, KEYS[kept])]
    full = keyed_order(7, 0, KEYS)
    assert np.array_equal(without, full[full != gone])


GOLDEN = [13463141986237402114, 3555273414503286003, 758933445404908729]
