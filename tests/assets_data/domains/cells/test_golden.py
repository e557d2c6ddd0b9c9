"""Ids of simulated cells that no machine may change: integers alone decide them."""

import numpy as np

from assets_data.domains.cells.raw_cells import make_raw_cells
from assets_data.domains.cells.thresholds import HIGH, LOW, draw_counts, table
from assets_data.lineage import Store
from tests.cells_dataset import SOURCES

RAW = "c9110e876b298a9ef3918c0e6ccb9847a8ebfbb721d61b290fe858ec1a0c1f3e"


def test_the_smoke_presets_first_dataset_has_the_id_it_always_had(tmp_path):
    assert make_raw_cells(Store(tmp_path), "sim-0", SOURCES["smoke"]()).content["records"]["root"] == RAW


def test_thresholds_ascend_and_draw_the_mean_and_variance_of_their_rate():
    thresholds, begins = table()
    assert (np.diff(thresholds.astype(object)) >= 0).all() and len(begins) == HIGH - LOW + 1
    bits = np.random.default_rng(0).integers(0, 2**64, 200_000, dtype=np.uint64)
    for index in (-16, 0, 24):
        drawn, rate = draw_counts(np.full(len(bits), index), bits), 2 ** (index / 8)
        assert abs(drawn.mean() - rate) < 0.03 * rate + 0.005
        assert abs(drawn.var() - (rate + rate**2 / 4)) < 0.06 * (rate + rate**2 / 4)
    assert (
        draw_counts(np.array([-400, 400]), bits[:2]).tolist() == draw_counts(np.array([LOW, HIGH]), bits[:2]).tolist()
    )
