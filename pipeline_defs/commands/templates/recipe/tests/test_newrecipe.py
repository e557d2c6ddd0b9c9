"""newrecipe keeps the contract of recipes, and its baseline is what it says."""

import numpy as np

from newdomain.read import Rows
from newrecipe.inspection import ridge
from pipeline_defs.contract import recipe_problems


def test_the_recipe_keeps_the_contract(tmp_path):
    assert recipe_problems("newrecipe", tmp_path) == []


def test_the_baseline_finds_a_straight_line():
    features_ND = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    target_N = features_ND @ np.array([1.0, -2.0, 0.5], np.float32) + 3
    rows = Rows(row_keys=np.arange(50, dtype=np.uint64), features_ND=features_ND, target_N=target_N, records=[])
    assert np.allclose(ridge(rows, rows, 3, 0.0), target_N, atol=1e-4)
    assert not np.allclose(ridge(rows, rows, 3, 100.0), target_N, atol=0.1)
