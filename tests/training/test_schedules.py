import math

import pytest

from assets_data.lineage import ConfigError
from training.config import ScheduleConfig
from training.schedules import SCHEDULES, lr_factor


def factors(name: str, total: int, warmup: int = 0, floor: float = 0.0) -> list[float]:
    config = ScheduleConfig(name=name, warmup=warmup, lr_min_ratio=floor)
    return [lr_factor(config, update, total) for update in range(total + 1)]


@pytest.mark.parametrize(("total", "w"), [(100, 10), (1000, 0), (7, 3), (13, 12)])
def test_wsd_follows_its_published_formula(total, w):
    p = total - w
    d, f = w + max(1, int(0.80 * p)), w + max(1, int(0.98 * p))
    for s, found in enumerate(factors("wsd", total, w)):
        if s < w:
            expected = s / w
        elif s <= d:
            expected = 1.0
        elif s <= f:
            expected = 1 - 0.9 * (s - d) / max(1, f - d)
        else:
            expected = max(0.01, 0.1 - 0.09 * (s - f) / max(1, total - f))
        assert found == pytest.approx(expected, abs=1e-12), s


def test_wsd_landmarks():
    found = factors("wsd", 1000, 100)
    assert found[:3] == [0.0, 0.01, 0.02] and found[100] == found[820] == 1.0
    assert found[982] == pytest.approx(0.1) and found[1000] == pytest.approx(0.01)


def test_wsd_no_longer_than_its_warmup_is_flat():
    assert set(factors("wsd", 5, 5)) == {1.0}


def test_cosine_halves_half_way_and_ends_at_the_floor():
    found = factors("cosine_warmup", 110, 10, floor=0.1)
    assert found[10] == 1.0 and found[60] == pytest.approx(0.55) and found[110] == pytest.approx(0.1)
    assert found[35] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_linear_and_constant():
    assert factors("linear", 100, 0, floor=0.2)[50] == pytest.approx(0.6)
    assert set(factors("constant", 50)) == {1.0}


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_every_schedule_honours_the_floor_after_warmup(name):
    warmup = 0 if name == "cosine" else 20
    found = factors(name, 200, warmup, floor=0.3)
    assert min(found[warmup:]) >= 0.3 and max(found) == 1.0


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(ConfigError, match="cosine_warmup.*wsd") as caught:
        lr_factor(ScheduleConfig(name="cosin"), 0, 10)
    assert caught.value.code == "SCHEDULE_UNKNOWN"
