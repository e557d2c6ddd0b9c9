"""The gate's parts against what is known: baselines, intervals, controllers, plans, and what is dropped."""

import dataclasses

import numpy as np
import pytest
import torch

from assets_data.domains.episodes.config import SourceConfig
from assets_data.domains.episodes.simulator import Simulator
from assets_data.lineage import GateError, to_dict, with_overrides
from tests.training.recipes.world_model.conftest import RECIPE
from training.recipes.world_model import baselines
from training.recipes.world_model.baselines import Tracks
from training.recipes.world_model.bootstrap import by_episode, draws, normalised_score, skill
from training.recipes.world_model.calibration import calibration_error
from training.recipes.world_model.config import PlannerConfig
from training.recipes.world_model.inspection import inspect
from training.recipes.world_model.numbers import Numbers
from training.recipes.world_model.planner import Planner
from training.recipes.world_model.play import play_planned, play_random, play_reference
from training.recipes.world_model.windows import cut_windows


def linear_tracks(rows=400, episodes=8, seed=0):
    """o' = A o + B a: a linear model is exact, the last observation is not."""
    draw = np.random.default_rng(seed)
    a, b = np.array([[0.9, 0.2], [-0.2, 0.9]]), np.array([[0.5], [0.1]])
    obs, action = np.zeros((rows, 2)), draw.uniform(-1, 1, (rows, 1))
    owner = np.arange(rows) * episodes // rows
    obs[0] = 1
    for t in range(rows - 1):
        obs[t + 1] = draw.normal(size=2) if owner[t + 1] != owner[t] else a @ obs[t] + b @ action[t]
    return Tracks(obs_RD=obs, action_RA=action, episode_R=owner)


def test_linear_baselines_are_exact_on_a_linear_system_and_no_change_is_not():
    train, test = linear_tracks(), linear_tracks(seed=1)
    rows = test.rows_with(0, 29)[::37]
    obs = np.stack([test.obs_RD[r : r + 30] for r in rows])
    action = np.stack([test.action_RA[r : r + 30] for r in rows])
    said = baselines.predict(train, obs[:, :8], action, 22, 10, 10_000)
    errors = {name: np.nanmean(np.square(found - obs[:, 8:])[:, :10]) for name, found in said.items()}
    assert errors["ridge"] < 1e-3 and errors["ridge_direct"] < 1e-3 < errors["knn"] < errors["no_change"]
    assert np.isnan(said["ridge_direct"][:, 10:]).all() and np.isfinite(said["ridge_direct"][:, :10]).all()


def test_no_baseline_row_crosses_an_episode():
    tracks = linear_tracks()
    for before, after in ((3, 1), (2, 1), (3, 10)):
        rows = tracks.rows_with(before, after)
        assert (tracks.episode_R[rows - before] == tracks.episode_R[rows + after]).all()
        assert len(rows) == 8 * (50 - before - after)


def test_intervals_are_by_episode_and_hold_the_value():
    draw = np.random.default_rng(0)
    base, model = draw.uniform(1, 2, 30), draw.uniform(0.1, 0.4, 30)
    value, (low, high) = skill(model, base, draws(30, 500, 0, "t"))
    assert low < value < high and value == pytest.approx(1 - model.sum() / base.sum())
    one = skill(np.array([0.1] * 30), np.array([1.0] * 30), draws(30, 500, 0, "t"))
    assert one == (pytest.approx(0.9), (pytest.approx(0.9), pytest.approx(0.9)))
    assert by_episode(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2]), 3).tolist() == [1, 0, 6]


def test_the_score_is_0_for_random_and_1_for_the_reference():
    random, reference = np.array([-10.0, -12.0, -8.0]), np.array([-1.0, -2.0, -3.0])
    drawn = draws(3, 200, 0, "s")
    assert normalised_score(random, random, reference, drawn)[0] == 0
    value, interval = normalised_score(reference, random, reference, drawn)
    assert value == pytest.approx(1) and interval == (pytest.approx(1), pytest.approx(1))


def test_calibration_sees_a_probability_that_says_too_much():
    draw = np.random.default_rng(0)
    said = draw.uniform(0, 1, 20_000)
    right = (draw.uniform(0, 1, 20_000) < said).astype(float)
    assert calibration_error(said, right) < 0.02 < 0.2 < calibration_error(said, right * 0)


@pytest.mark.parametrize(("env_id", "least"), [("Pendulum-v1", -300.0), ("CartPole-v1", 499.0)])
def test_the_known_controllers_do_what_they_are_known_for(env_id, least):
    simulator = Simulator(to_dict(SourceConfig(env_id=env_id)))
    simulator.close()
    played = play_reference(simulator.facts, range(7, 19), 0)
    random = play_random(simulator.facts, range(7, 19), 0, 0)
    assert played.returns.mean() > least and played.returns.mean() > random.returns.mean() + 100


class Known:
    """A model whose reward is -(x + a - 0.5)^2 and whose state never moves: the best action is known."""

    def __init__(self, discrete=False):
        from tests.training.recipes.world_model.test_models import inputs
        from training.recipes.world_model.layers import Scaling

        self.scaling = Scaling(inputs(1, discrete=5 if discrete else 0))
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def parameters(self):
        return iter([self.weight])

    def infer(self, obs, action, valid):
        return obs[:, -1].float()

    def step(self, state, action):
        chosen = action.argmax(-1).float() / 4 if self.scaling.discrete else action[:, 0]
        return state, -((state[:, 0] + chosen - 0.5) ** 2), torch.ones(len(state))

    def value(self, state):
        return None


@pytest.mark.parametrize("discrete", [False, True])
def test_the_planner_finds_the_best_action_of_a_known_model(discrete):
    config = PlannerConfig(horizon=3, candidates=128, iterations=5, context=1, temperature=20.0)
    planner = Planner(Known(discrete), config, seed=0)
    seen = [[np.array([x], np.float32)] for x in (0.0, -0.25, 0.5)]
    found = planner.act(seen, [[], [], []], [1, 2, 3], 0)
    if discrete:
        assert [int(action) for action in found] == [2, 3, 0]
    else:
        assert np.allclose([action[0] / 2 for action in found], [0.5, 0.75, 0.0], atol=0.08)


def test_a_plan_is_the_same_whoever_is_planned_for_beside():
    config = PlannerConfig(horizon=4, candidates=32, iterations=2, context=1)
    seen = [[np.array([x], np.float32)] for x in (0.0, 0.3)]
    both = Planner(Known(), config, 0).act(seen, [[], []], [5, 6], 3)
    alone = Planner(Known(), config, 0).act(seen[1:], [[]], [6], 3)
    assert np.allclose(both[1], alone[0], atol=1e-6)
    assert not np.allclose(alone[0], Planner(Known(), config, 1).act(seen[1:], [[]], [6], 3)[0], atol=1e-6)


def test_planning_twice_is_equal(config, data):
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()
    space = data.replay.space
    first, second = (play_planned(space, [5, 6], 8, Planner(model, config.planner, 0)) for _ in range(2))
    assert first.returns.tolist() == second.returns.tolist() and first.film == second.film


def codes(data, config, **fields):
    return {issue.code: issue.severity for issue in inspect(data, with_overrides(config, fields)).issues}


def test_starts_that_were_collected_are_refused(data, config):
    found = codes(data, config, **{"gate.plan_seed": 10})
    assert found["PLAN_SEEDS_SEEN"] == "error"
    assert "PLAN_SEEDS_SEEN" not in codes(data, config)


def test_a_criterion_without_headroom_is_dropped_by_name_before_training(data, config):
    narrow = with_overrides(config, {"gate.headroom": 0.5})
    findings = inspect(data, narrow)
    assert "GATE_NO_HEADROOM" in {issue.code for issue in findings.issues}
    assert not [name for name in findings.evaluation["judged"] if name.startswith("skill_")]
    assert "no-change's error" in findings.evaluation["not_judged"]["GATE_NO_HEADROOM"]
    assert set(findings.thresholds) == set(findings.evaluation["judged"])
    wide = inspect(data, config)
    assert {"skill_no_change", "skill_ridge", "skill_knn"} <= set(wide.evaluation["judged"])


def test_few_ends_are_not_judged_and_said(data, config):
    findings = inspect(data, config)
    assert "GATE_FEW_ENDS" in findings.evaluation["not_judged"] and "brier_skill" not in findings.thresholds


def test_an_environment_of_another_version_stops_a_judged_plan(data, config):
    """With plans only reported it is a warning."""
    other = dataclasses.replace(data, replay=dataclasses.replace(data.replay, layout=_aged(data.replay.layout)))
    assert codes(other, config, **{"gate.planning": "judged"})["ENV_OTHER"] == "error"
    assert codes(other, config)["ENV_OTHER"] == "warning"


def _aged(layout):
    space = layout["space"]
    environment = {**space["environment"], "versions": {"gymnasium": "0.0.1"}}
    return {**layout, "space": {**space, "environment": environment}}


def test_windows_stay_inside_test_episodes_and_say_which_rows_exist(data, config):
    windows = cut_windows(data.test, config.gate)
    context = config.gate.context
    for n, (episode, start, rows) in enumerate(zip(windows.episode_N, windows.starts_N, windows.rows_N, strict=True)):
        whole = data.test.obs(episode)
        assert start + rows <= len(whole) and context < rows <= context + config.gate.horizon
        assert np.array_equal(windows.obs[n, :rows], whole[start : start + rows])
    assert set(windows.episode_N.tolist()) == set(range(len(data.test)))


def test_the_gate_refuses_other_windows_than_the_registered_ones(world, data, config):
    from training.recipes.world_model.evaluate import evaluate
    from training.stages import make_preflight_report

    preflight = make_preflight_report(world[0], RECIPE, {"manifest": world[1]}, config)
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config)).eval()
    assert evaluate(model, data, config, preflight).measurements
    other = with_overrides(config, {"gate.windows": 3})
    with pytest.raises(GateError, match="GATE_OTHER_ROWS"):
        evaluate(model, data, other, preflight)


def test_numbers_and_the_models_scaling_agree(data, config):
    model = RECIPE.build_model(config, RECIPE.model_inputs(data, config))
    numbers, obs, action = Numbers(data), data.test.obs(0), data.test.action(0)
    assert np.allclose(numbers.obs(obs), model.scaling.obs(torch.from_numpy(obs.copy())).numpy(), atol=1e-4)
    assert np.allclose(numbers.action(action), model.scaling.action(torch.from_numpy(action.copy())).numpy(), atol=1e-5)
