"""The collapse metrics against a slow double-precision reference, the alerts, and the callback in a real run."""

import json
import math

import numpy as np
import pytest
import torch

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks.base import Callback
from training.checkpoint import read_state, stored
from training.collapse import METRICS, alerts, collapse_metrics
from training.journal import Journal
from training.loop import train


def slow(predicted, target):
    """Word for word, in double precision, one pair at a time."""
    p, t = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    n, d = p.shape
    cosines = [a @ b / (math.sqrt(a @ a) * math.sqrt(b @ b)) for a, b in zip(p, t, strict=True)]
    distances = [math.sqrt(((p[i] - p[j]) ** 2).sum()) for i in range(n) for j in range(i)]
    covariance = np.cov(p, rowvar=False, bias=True).reshape(d, d)
    log_determinant = np.log(np.clip(np.linalg.eigvalsh(covariance), 0, None) + 1e-6).sum()
    mean = p.mean(axis=0)
    return {
        "pred_cos_mean": float(np.mean(cosines)),
        "pred_l2_mean": float(np.mean([math.sqrt(((a - b) ** 2).sum()) for a, b in zip(p, t, strict=True)])),
        "target_var_per_dim": float(t.var(axis=0).mean()),
        "pred_var_per_dim": float(p.var(axis=0).mean()),
        "pred_target_corr": float(np.corrcoef(p.ravel(), t.ravel())[0, 1]),
        "pairwise_pred_dist_mean": float(np.mean(distances)),
        "kl_reg": 0.5 * float(mean @ mean + np.trace(covariance) - log_determinant - d),
    }


CASES = {
    "spread": lambda r, n, d: r.normal(size=(n, d)),
    "shifted": lambda r, n, d: r.normal(size=(n, d)) + 50.0,
    "collapsed": lambda r, n, d: 30.0 + 1e-3 * r.normal(size=(n, d)),
    "one direction": lambda r, n, d: r.normal(size=(n, 1)) * r.normal(size=(1, d)) + 2.0,
}


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (30, 30), (2, 5), (60, 1)])
@pytest.mark.parametrize("case", CASES)
def test_the_metrics_equal_the_slow_reference(case, shape):
    random = np.random.default_rng(0)
    predicted = torch.as_tensor(CASES[case](random, *shape).astype(np.float32))
    target = torch.as_tensor(random.normal(size=shape).astype(np.float32))
    assert collapse_metrics(predicted, target) == pytest.approx(slow(predicted, target), rel=1e-5, abs=1e-5)


def test_half_precision_states_are_measured_in_double():
    states = torch.randn(20, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert collapse_metrics(states, states)["pred_cos_mean"] == pytest.approx(1.0)
    assert collapse_metrics(states, states) == pytest.approx(slow(states.double(), states.double()), rel=1e-5)


def test_equal_rows_have_no_distance_and_no_correlation():
    found = collapse_metrics(torch.full((5, 3), 7.0), torch.randn(5, 3))
    assert found["pairwise_pred_dist_mean"] == found["pred_target_corr"] == found["pred_var_per_dim"] == 0.0


def test_a_standard_gaussian_has_almost_no_divergence_and_a_shifted_one_half_its_square():
    states = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    shifted = states + torch.tensor([3.0, 0.0, 0.0])
    target = torch.zeros_like(states)
    with pytest.MonkeyPatch.context() as patch:  # 200,000 pairs of rows are not what this is about
        patch.setattr("training.collapse._pairwise_distance", lambda gram: torch.zeros((), dtype=torch.float64))
        patch.setattr(torch.Tensor, "T", property(lambda self: self.transpose(0, 1)))
        small = collapse_metrics(states[:2000], target[:2000])["kl_reg"]
        large = collapse_metrics(shifted[:2000], target[:2000])["kl_reg"]
    assert small < 0.01 and large == pytest.approx(4.5, abs=0.3)


BASE = dict.fromkeys(METRICS, 1.0)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, []),
        ({"pred_var_per_dim": 0.5}, []),
        ({"pred_var_per_dim": 0.499}, ["pred_var_per_dim"]),
        ({"pairwise_pred_dist_mean": 2.0}, []),
        ({"pairwise_pred_dist_mean": 1.99}, ["pairwise_pred_dist_mean"]),
        ({"kl_reg": 10.0}, []),
        ({"kl_reg": 10.01}, ["kl_reg"]),
        ({"kl_reg": 11.0, "pred_var_per_dim": 0.1}, ["pred_var_per_dim", "kl_reg"]),
    ],
)
def test_alerts_are_strict(changes, met):
    metrics = {**BASE, "pairwise_pred_dist_mean": 3.0, **changes}
    assert alerts(metrics, first_distance=4.0) == met


class Watched(ToyRecipe):
    """The toy with states that shrink as it trains on."""

    def states(self, model, config, batch):
        assert not model.training and not torch.is_grad_enabled()
        return {"inner": (batch["x"] * self.scale(model), batch["x"])}

    def scale(self, model):
        self.looked = getattr(self, "looked", 0) + 1
        return 0.1 if self.looked > 1 else 1.0


def points(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return {line["update"]: line["monitor"] for line in lines if "inner/kl_reg" in line.get("monitor", {})}


def go(directory, recipe, callbacks=(), **overrides):
    return train(recipe, toy_config(**overrides), toy_data(), directory, code="c", callbacks=callbacks)


def test_a_run_measures_at_intervals_and_at_the_end_and_warns_when_a_criterion_begins_to_be_met(tmp_path, caplog):
    go(tmp_path, Watched(), **{"train.collapse_every": 5})
    found = points(tmp_path)
    assert sorted(found) == [5, 10, 12]
    assert {f"inner/{name}" for name in METRICS} <= set(found[5])
    first, later = found[5]["inner/pairwise_pred_dist_mean"], found[10]["inner/pairwise_pred_dist_mean"]
    assert later == pytest.approx(0.1 * first, rel=1e-5)
    warned = [record.getMessage() for record in caplog.records if "may collapse" in record.getMessage()]
    assert [w.split(":")[0] for w in warned if "pairwise" in w] == ["update 10"]  # and not again at 12
    assert [w.split(":")[0] for w in warned if "pred_var" in w] == ["update 10"]


def test_the_baseline_is_stored_with_the_checkpoint_and_survives_a_resume(tmp_path):
    class Interrupt(Exception):
        pass

    class StopAt(Callback):
        def step_end(self, run):
            if run.update == 8:
                raise Interrupt

    often = {"train.collapse_every": 5}
    go(tmp_path / "calm", Watched(), **often)
    recipe = Watched()
    with pytest.raises(Interrupt):
        go(tmp_path / "cut", recipe, [StopAt()], **often)
    kept = read_state(stored(tmp_path / "cut" / "checkpoints")[-1])["callbacks"]["Collapse"]
    assert kept["first"]["inner"] == points(tmp_path / "calm")[5]["inner/pairwise_pred_dist_mean"]
    go(tmp_path / "cut", recipe, **often)
    assert points(tmp_path / "cut") == points(tmp_path / "calm")


def test_watching_changes_no_weight_and_a_recipe_without_states_is_left_alone(tmp_path):
    often = {"train.collapse_every": 2}
    watched, plain = go(tmp_path / "watched", Watched(), **often), go(tmp_path / "plain", ToyRecipe(), **often)
    assert all(torch.equal(a, b) for a, b in zip(watched.model.parameters(), plain.model.parameters(), strict=True))
    assert points(tmp_path / "plain") == {} and len(points(tmp_path / "watched")) == 6


def test_what_a_line_shows_leaves_the_groups_details_out(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.record(1, {"val_loss": 2.0, "core/kl_reg": 3.0})
    assert journal.headlines == {"val_loss": 2.0} and journal.latest == {"val_loss": 2.0, "core/kl_reg": 3.0}
    journal.close()
