"""Baselines and the gate: what predicts nothing fails, what predicts all passes, intervals go by blocks."""

import numpy as np
import pytest

from assets_data.domains.genome.read import blocks
from tests.training.recipes.geno_lewm.rows import FLANK, made_rows
from training.gate import judge
from training.recipes.dna_lm.bootstrap import block_means
from training.recipes.geno_lewm.baselines import squared_errors
from training.recipes.geno_lewm.evaluate import _Judged
from training.recipes.geno_lewm.inspection import best_baseline

THRESHOLDS = {"skill_1": 0.35, "skill_3": 0.40, "gain_1": 0.10, "gain_3": 0.08, "class_mean": 0.0}


@pytest.fixture(scope="module")
def errors():
    return squared_errors(made_rows(400, 1), made_rows(80, 2), made_rows(300, 3))


def judged(errors, model):
    test = made_rows(300, 3)
    best = {str(k): best_baseline(errors, test.steps_R == k) for k in (1, 2, 3)}
    found = _Judged({**errors, "model": model}, test, {"seed": 0, "resamples": 200, "least": 5, "best": best})
    return judge([m for k in (1, 3) for m in found.by_steps(k)] + found.by_kind(), THRESHOLDS)


def test_a_model_that_predicts_nothing_fails_and_a_perfect_one_passes(errors):
    assert judged(errors, errors["no_change"])["verdict"] == "fail"
    assert judged(errors, errors["no_change"] * 1e-6)["verdict"] == "pass"


def test_a_model_that_is_the_best_baseline_gains_nothing(errors):
    outcome = judged(errors, errors["ridge_with_state"])
    assert outcome["verdict"] == "fail" and any("gain" in reason for reason in outcome["reasons"])


def test_ridge_finds_what_is_linear_in_place_and_bases_and_the_class_mean_what_is_not_in_it(errors):
    total = {name: float(value.sum()) for name, value in errors.items()}
    assert total["ridge"] < 0.5 * total["no_change"] and total["ridge"] < total["class_mean"] < total["no_change"]


def test_by_position_baselines_get_what_the_predictor_gets():
    """Carrying makes half of every change here: as it is, a quarter of the error is left, and ridge doubles it."""
    given = [made_rows(*size, flank=FLANK) for size in ((400, 1), (80, 2), (300, 3))]
    found = {name: float(value.sum()) for name, value in squared_errors(*given).items()}
    assert found["carried"] == pytest.approx(found["no_change"] / 4)
    assert found["ridge_with_positions"] < 0.1 * found["ridge_with_state"]
    assert "carried" not in squared_errors(*(made_rows(60, seed) for seed in (1, 2, 3)))


def test_predicting_no_change_has_skill_zero(errors):
    test = made_rows(300, 3)
    found = _Judged(
        {**errors, "model": errors["no_change"]}, test, {"seed": 0, "resamples": 100, "least": 5, "best": {}}
    )
    assert found.gain("no_change", test.steps_R == 1) == (0.0, 0.0, 0.0)


def test_blocks_of_like_values_widen_the_interval():
    """Ten times the same value in each block is one observation, not ten."""
    values = np.repeat(np.random.default_rng(0).normal(size=40), 10)
    apart, together = np.arange(400), np.repeat(np.arange(40), 10)
    assert block_means(values, together, 500, 0).std() > 2.5 * block_means(values, apart, 500, 0).std()
    assert blocks(np.array([0, 99, 100, (1 << 32) + 5])).tolist()[:3] == [0, 0, 1]
