"""Every kind of model is judged beside baselines that know what it knows; what cannot be judged is undetermined."""

import numpy as np
import pytest

from assets_data.domains.cells.config import CELLS, SOURCES
from assets_data.lineage import Store, with_overrides
from assets_data.stage import load
from tests.cells_dataset import make_cells_inputs
from tests.training.recipes.cell_mlm.test_models import KINDS, RECIPE
from training.recipes.cell_mlm.contestants import most_variable
from training.recipes.cell_mlm.intervals import interval, units
from training.recipes.cell_mlm.network import auroc, average_precision
from training.recipes.cell_mlm.perturbations import judge_perturbations
from training.recipes.cell_mlm.probe import Features, macro_f1, principal_components, probe
from training.recipes.cell_mlm.rank_neighbours import pair_shares
from training.recipes.cell_mlm.regulators import know
from training.recipes.cell_mlm.value_baselines import dense
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

SHORT = {"train.updates": 3, "train.batch_rows": 8, "train.schedule.warmup": 0, "train.monitor_every": 0}
SHORT |= {"train.validate_every": 0, "gate.cells": 16, "gate.resamples": 100}
BASELINES = {
    "rank_value genes": {"frequency", "knn"},
    "exact": {"frequency", "knn", "adjacent"},
    "binned nb": {"marginal", "by_total", "true_label", "nb_exposure", "knn"},
    "binned quantiles": {"marginal", "by_total", "true_label", "knn"},
    "continuous values": {"gene_mean"},
    "autoregressive bins": {"frequency"},
    "mae bins": {"gene_mean"},
}


@pytest.mark.parametrize("kind", BASELINES)
def test_each_kind_of_model_has_its_baselines(kind, cells_store, cells_inputs):
    kinds = {**KINDS, "exact": {"tokens.ranks": "exact"}}
    regulation = {"gate.perturbation": True, "gate.network": True} if kind == "binned nb" else {}
    config = with_overrides(RECIPE.presets["smoke"](), {**SHORT, **kinds[kind], **regulation})
    preflight = make_preflight_report(cells_store, RECIPE, cells_inputs, config)
    assert preflight.read_json("registration.json")["ok"], preflight.read_json("preflight.json")["issues"]
    checkpoint = make_checkpoint(cells_store, RECIPE, cells_inputs, preflight)
    result = make_gate_report(cells_store, RECIPE, cells_inputs, preflight, checkpoint).read_json("result.json")
    scalars = result["metrics"]["scalars"]
    assert {name.removeprefix("gain_") for name in scalars if name.startswith("gain_")} == BASELINES[kind]
    assert all(np.isfinite(value) for name, value in scalars.items() if name.startswith(("nats", "gain", "probe")))
    if regulation:
        assert 0 < scalars["network_base"] < 0.2 < scalars["network_auroc_knock_down"] < 1
        names = {criterion["name"] for criterion in result["gate"]["criteria"]}
        assert {"perturbation_r", "perturbation_mse", "network_ap"} <= names
        assert -1 < scalars["network_ap_embedding_cosine"] < 0.5


def test_judged_cells_stand_beside_their_most_variable_genes_and_are_drawn(cells_store, cells_inputs):
    config = with_overrides(RECIPE.presets["smoke"](), SHORT)
    preflight = make_preflight_report(cells_store, RECIPE, cells_inputs, config)
    checkpoint = make_checkpoint(cells_store, RECIPE, cells_inputs, preflight)
    report = make_gate_report(cells_store, RECIPE, cells_inputs, preflight, checkpoint)
    metrics = report.read_json("result.json")["metrics"]
    cells = metrics["cells"]
    assert len(cells) == 16 and len({tuple(cell["the model's embeddings"]) for cell in cells}) == 16
    assert {"probe_variable_genes", "quality_nmi_variable_genes"} <= set(metrics["scalars"])
    (picture,) = load(RECIPE.figures)(report).values()
    assert picture.startswith(b"\x89PNG")


def test_the_most_variable_genes_are_those_of_the_largest_variance_over_mean():
    draw = np.random.default_rng(0)
    counts = draw.poisson(5.0, (200, 90))
    counts[:, 60:] = draw.poisson(draw.choice([0.5, 9.5], (200, 30)))
    assert set(most_variable(np.log1p(counts), 30)) == set(range(60, 90))


def test_a_model_without_counts_leaves_the_network_undetermined(cells_store, cells_inputs):
    config = with_overrides(RECIPE.presets["smoke"](), {**SHORT, "gate.network": True, "gate.probe": False})
    preflight = make_preflight_report(cells_store, RECIPE, cells_inputs, config)
    checkpoint = make_checkpoint(cells_store, RECIPE, cells_inputs, preflight)
    result = make_gate_report(cells_store, RECIPE, cells_inputs, preflight, checkpoint).read_json("result.json")
    found = {criterion["name"]: criterion["verdict"] for criterion in result["gate"]["criteria"]}
    assert found["network_ap"] == "undetermined" and result["gate"]["verdict"] != "pass"


def test_the_true_change_of_held_out_knock_downs_beats_ridge_regression_and_ridge_itself_does_not(tmp_path):
    source = {"simulated.cells": 300, "simulated.regulators": 6, "simulated.knockdown_share": 0.6}
    cells = with_overrides(CELLS["smoke"](), {"split.perturbations": 0.5})
    store, config = Store(tmp_path), RECIPE.presets["smoke"]()
    inputs = make_cells_inputs(store, with_overrides(SOURCES["smoke"](), source), cells)
    data = RECIPE.open_data(store, {"manifest": inputs["cells/dataset_manifest"]}, config)
    known = know(data, [f"REG{place:03}" for place in range(6)])
    _, values = dense(data.test, np.arange(len(data.test.cells)))
    knocked = np.array(data.test.cells.names("perturbation"), object)
    control = values[knocked == ""].mean(0)
    true = np.stack([values[knocked == known.names[r]].mean(0) - control for r in known.regulators])
    ridge = -known.slopes_RG * control[known.regulators][:, None]
    found = [
        judge_perturbations(data, known, change, {"resamples": 100, "seed": 0}) for change in (true, ridge, true * 0)
    ]
    values = [[measured.value for measured in each.measurements] for each in found]
    assert min(values[0]) > 0 and values[1] == [0, 0] and found[0].measurements[0].checks > 1
    assert found[0].scalars["perturbation_mse_model"] < found[0].scalars["perturbation_mse_own_gene"]
    nothing = found[2].scalars  # that the regulator itself is gone is given
    assert nothing["perturbation_r_model"] == nothing["perturbation_r_own_gene"] > 0
    unseen = [place for place, r in enumerate(known.regulators) if known.names[r] not in set(known.perturbed_M)]
    assert nothing["perturbation_mse_no_change"] == pytest.approx(np.square(true[unseen]).mean())
    assert "perturbation_r_no_change" not in nothing  # what is the same everywhere correlates with nothing
    (line,) = (line for line in found[2].summary if "no_change" in line)
    assert "mse" in line and " r " not in line


def test_precision_and_auroc_of_what_is_known():
    truth = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), truth) == pytest.approx((1 + 2 / 3) / 2)
    assert auroc(np.array([4.0, 3, 2, 1]), truth) == pytest.approx(0.75)
    assert auroc(np.zeros(4), truth) == pytest.approx(0.5)


def test_intervals_are_over_donors_where_there_are_eight():
    values = np.repeat(np.arange(8.0), 50)
    unit, of = units([f"D{n}" for n in np.repeat(np.arange(8), 50)])
    wide, few = interval(values, unit, 500, 0), units(["a", "b"] * 10)
    assert of == "donors" and few[1] == "cells"
    narrow = interval(values, np.arange(400), 500, 0)
    assert wide[0] < narrow[0] < 3.5 < narrow[1] < wide[1]


def test_the_probe_finds_what_is_linear_and_nothing_in_noise():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 300)
    clear = (np.eye(3)[labels] + 0.1 * draw.normal(size=(300, 3))).astype(np.float32)
    noise = draw.normal(size=(300, 3)).astype(np.float32)
    scores = []
    for cells in (clear, noise):
        parts = (cells[:150], cells[150:200], cells[200:])
        features = Features(
            train_ND=parts[0], validation_MD=parts[1], test_KD=parts[2],
            labels=(labels[:150], labels[150:200], labels[200:]), classes=3,
        )  # fmt: skip
        scores.append((probe(features) == labels[200:]).mean())
    assert scores[0] == 1.0 and scores[1] < 0.5
    assert macro_f1(np.array([0, 0, 1]), np.array([0, 0, 1])) == 1.0 and macro_f1(
        np.array([0, 0, 0]), np.array([0, 0, 1])
    ) == pytest.approx(0.4)
    train, test = principal_components(clear, [clear[:5]], 2)
    assert np.allclose(train[:5], test) and train.shape == (300, 2)


def test_genes_that_follow_each_other_are_found():
    ranks = np.full((50, 40), -1)
    for cell in range(50):
        ranks[cell, :20] = np.arange(20)
    pairs = pair_shares(ranks)
    assert pairs[3, 4] > 1.5 > pairs[3, 15] and (pairs[40] == 1).all()
