import math

import pytest

from assets_data.lineage import ConfigError
from training.config import ScheduleConfig
from training.config.problems import OWN_SCHEDULES
from training.library_schedules import NEEDS_CODE
from training.schedules import SCHEDULES, build_schedule


def factors(name: str, total: int, warmup: int = 0, floor: float = 0.0, **kwargs) -> list[float]:
    """At every update, and for the project's own curves also at the horizon."""
    config = ScheduleConfig(name=name, warmup=warmup, lr_min_ratio=floor, kwargs=kwargs)
    curve = build_schedule(config, total)
    return [curve(update) for update in range(total + (name in SCHEDULES))]


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


LIBRARY = {
    "chebyshev": {},
    "cosine_annealing": {},
    "cosine_annealing_with_warm_restart": {"T_0": 25},
    "cosine_annealing_with_warmup": {},
    "cyclic": {},
    "multi_step": {"milestones": [50]},
    "one_cycle": {},
    "poly": {},
    "rex": {},
    "step": {"step_size": 30},
    "warmup_stable_decay": {},
}


def test_every_library_schedule_that_a_config_can_describe_is_offered():
    import pytorch_optimizer

    assert {*LIBRARY, *NEEDS_CODE, *OWN_SCHEDULES} >= {*pytorch_optimizer.get_supported_lr_schedulers()}


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_library_schedules_follow_the_warmup_and_honour_the_floor(name):
    found = factors(name, 100, 5, floor=0.05, **LIBRARY[name])
    assert found[:5] == [0.0, 0.2, 0.4, 0.6, 0.8] and len(found) == 100
    assert min(found[5:]) >= 0.05 and all(type(factor) is float for factor in found)


def test_a_library_schedule_gives_the_rates_that_its_class_gives():
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=90)
    expected = []
    for _ in range(90):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert factors("cosine_annealing", 100, 10)[10:] == pytest.approx(expected, abs=1e-12)


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"cosine_warmup.*one_cycle.*wsd") as caught:
        factors("cosin", 10)
    assert caught.value.code == "SCHEDULE_UNKNOWN"


@pytest.mark.parametrize(("name", "reason"), NEEDS_CODE.items())
def test_a_schedule_that_needs_code_is_refused_with_the_reason(name, reason):
    with pytest.raises(ConfigError, match=reason):
        factors(name, 10)


def test_an_argument_a_library_schedule_lacks_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        factors("rex", 10, steps=3)
    assert caught.value.code == "SCHEDULE_ARGUMENTS"


def test_warmup_stable_decay_decays_in_what_its_stable_part_leaves():
    """The library's own example names the stable part and the floor."""
    found = factors("warmup_stable_decay", 100, 10, num_stable_steps=50, min_lr_ratio=0.1, cooldown_type="linear")
    assert found[5] == 0.5 and set(found[10:61]) == {1.0}
    assert found[61:] == pytest.approx([1 - s / 40 for s in range(1, 40)])


def test_warmup_stable_decay_can_be_told_every_part():
    given = {"num_warmup_steps": 5, "num_stable_steps": 50, "num_decay_steps": 20, "min_lr_ratio": 0.1}
    found = factors("warmup_stable_decay", 100, 10, **given)
    assert found[10:16] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1]) and set(found[85:]) == {0.1}
    assert factors("warmup_stable_decay", 100, 10, num_decay_steps=20).count(1.0) == 71  # 70, and the decay's first


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"num_stable_steps": 90}, "num_decay_steps"),
        ({"num_stable_steps": 10, "num_decay_steps": 81}, "90"),
        ({"num_stable_steps": -1}, "num_stable_steps"),
        ({"num_warmup_steps": 91}, "num_stable_steps"),
    ],
    ids=str,
)
def test_parts_longer_than_the_run_are_refused(kwargs, named):
    with pytest.raises(ConfigError, match=named) as caught:
        factors("warmup_stable_decay", 100, 10, **kwargs)
    assert caught.value.code == "SCHEDULE_ARGUMENTS"


def test_cyclic_is_one_cycle_from_the_floor_to_the_peak_unless_told():
    found = factors("cyclic", 110, 10, floor=0.2)
    assert found[10] == found[109 - 99] == pytest.approx(0.2) and found[60] == pytest.approx(1.0)
    assert found[35] == pytest.approx(0.6) and factors("cyclic", 100, step_size_up=10)[20] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("step", "step_size"), ("multi_step", "milestones"), ("cosine_annealing_with_warm_restart", "T_0")],
)
def test_what_does_not_follow_from_the_run_is_asked_for_by_name(name, missing):
    with pytest.raises(ConfigError, match=f"{name}: needs {missing}") as caught:
        factors(name, 100, 10)
    assert caught.value.code == "SCHEDULE_ARGUMENTS" and caught.value.where == "train.schedule.kwargs"


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("step", {"step_size": 0}),
        ("step", {"step_size": 2, "gamma": 1e308}),
        ("cosine_annealing", {"T_max": 0}),
        ("cyclic", {"step_size_up": "long"}),
        ("multi_step", {"milestones": 3}),
        ("linear_", {}),
    ],
    ids=str,
)
def test_arithmetic_that_fails_has_a_code(name, kwargs):
    with pytest.raises(ConfigError):
        factors(name, 10, **kwargs)


@pytest.mark.parametrize("updates", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_run_of_few_updates_has_a_rate_for_each(name, updates):
    assert len(factors(name, updates, **LIBRARY[name])) == updates
