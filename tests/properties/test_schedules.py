"""Schedules: a rate rises over the warm-up, never again, and stays between its floor and its peak."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.config import ScheduleConfig
from training.schedules import SCHEDULES, build_schedule

TOTALS = st.integers(1, 400)
FLOORS = st.floats(0, 1)


def factors(name: str, total: int, warmup: int, floor: float) -> list[float]:
    curve = build_schedule(ScheduleConfig(name=name, warmup=warmup, lr_min_ratio=floor), total)
    return [curve(update) for update in range(total + 1)]


def warmups(name: str, total: int) -> st.SearchStrategy[int]:
    return st.just(0) if name == "cosine" else st.integers(0, total - 1)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(total=TOTALS, floor=FLOORS, data=st.data())
def test_a_rate_stays_between_floor_and_peak_and_never_rises_after_warmup(name, total, floor, data):
    warmup = data.draw(warmups(name, total))
    found = factors(name, total, warmup, floor)
    assert all(0 <= factor <= 1 for factor in found)
    assert found[warmup] == 1 and all(factor >= floor for factor in found[warmup:])
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(found[warmup:]))
    assert found[:warmup] == pytest.approx([update / warmup for update in range(warmup)])


@given(total=TOTALS, floor=FLOORS, data=st.data())
def test_those_that_go_down_end_at_their_floor(total, floor, data):
    warmup = data.draw(st.integers(0, total - 1))
    ends = {name: factors(name, total, warmup, floor)[-1] for name in SCHEDULES}
    assert ends["linear"] == pytest.approx(floor) and ends["cosine_warmup"] == pytest.approx(floor)
    assert ends["constant"] == 1
    if total - warmup >= 4:  # with fewer updates there is no room for its three pieces
        assert ends["wsd"] == pytest.approx(max(0.01, floor))
