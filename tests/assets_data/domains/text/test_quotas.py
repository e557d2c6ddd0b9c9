"""Quotas: exact by largest remainder; which rows are taken depends on their keys, and no key stands twice."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.quotas import apportion, choose, distinct_keys, largest_total
from assets_data.lineage import mix64

weights = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.floats(0.001, 1000), min_size=1, max_size=6)
KEYS = mix64(1, "test", np.arange(1000))


@given(st.integers(0, 10**12), weights)
def test_quotas_sum_to_the_total_and_none_is_a_whole_unit_off_its_share(total, shares):
    quotas = apportion(total, shares)
    whole = sum(Fraction(str(w)) for w in shares.values())
    assert sum(quotas.values()) == total
    assert all(abs(quotas[name] - total * Fraction(str(w)) / whole) < 1 for name, w in shares.items())


def test_the_largest_remainders_are_served_first_and_equal_ones_by_name():
    assert apportion(100, {"a": 47, "b": 16, "c": 15.8, "d": 12, "e": 6.1, "f": 3.1}) == {
        **{"a": 47, "b": 16, "c": 16, "d": 12, "e": 6, "f": 3}
    }
    assert apportion(10, {"z": 1, "b": 1, "a": 1}) == {"a": 4, "b": 3, "z": 3}
    assert apportion(5, {"z": 1, "b": 1, "a": 1}) == {"a": 2, "b": 2, "z": 1}
    assert apportion(4, {"a": 0.1, "b": 0.3}) == {
        "a": 1,
        "b": 3,
    }  # by the decimals as written
    assert apportion(10**15 + 1, {"a": 1, "b": 2})["a"] == 333333333333334  # where floats would be off


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1))
def test_the_largest_total_needs_no_more_than_there_is_and_the_next_one_would(sources):
    available, shares = ({name: pair[i] for name, pair in sources.items()} for i in (0, 1))
    total = largest_total(available, shares)
    assert all(quota <= available[name] for name, quota in apportion(total, shares).items())
    whole = sum(shares.values())
    assert any((total + 1) * share > available[name] * whole for name, share in shares.items())


@pytest.mark.parametrize("quota", [0, 1, 300, 1000, 2300])
def test_rows_are_taken_to_the_unit_and_as_evenly_as_can_be(quota):
    times = choose(KEYS, np.ones(1000, np.int64), quota, seed=3)
    assert times.sum() == quota and times.max() - times.min() <= 1


def test_tokens_reach_the_quota_and_pass_it_by_less_than_a_row():
    sizes = np.arange(1000) % 37 + 1
    for quota in (1, 500, int(sizes.sum()), int(sizes.sum()) * 2 + 777):
        times = choose(KEYS, sizes, quota, seed=3)
        assert quota <= (times * sizes).sum() < quota + 37


def test_the_choice_depends_on_keys_and_seed_not_on_place_and_a_larger_quota_keeps_it():
    ones = np.ones(1000, np.int64)
    few, more = (set(KEYS[choose(KEYS, ones, quota, seed=3) > 0]) for quota in (200, 400))
    assert few < more
    backwards = KEYS[::-1][choose(KEYS[::-1], ones, 200, seed=3) > 0]
    assert set(backwards) == few != set(KEYS[choose(KEYS, ones, 200, seed=4) > 0])
    assert few != set(KEYS[:200])


def test_repeated_keys_become_distinct_and_the_first_of_each_stays():
    keys = np.concatenate([KEYS, KEYS[:500], KEYS[:100], KEYS[:100]])
    distinct = distinct_keys(keys)
    assert len(np.unique(distinct)) == len(keys) and (distinct[:1000] == KEYS).all()
    assert (distinct == distinct_keys(keys)).all() and distinct.dtype == np.uint64
    assert len(distinct_keys(KEYS[:0])) == 0
