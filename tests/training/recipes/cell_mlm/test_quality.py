"""Scores of embeddings where the answer is known."""

import json

import numpy as np
import pytest

from tests.training.recipes.cell_mlm.test_assessments import SHORT
from training.recipe import discover
from training.recipes.cell_mlm.quality import adjusted_rand, embedding_quality, mutual_information

LABELS = np.repeat(["a", "b", "c"], 30)
BATCHES = np.tile(["x", "y"], 45)


def cells(spread, batch=0.0):
    draw = np.random.default_rng(0)
    centres = {"a": (0, 0), "b": (10, 0), "c": (0, 10)}
    return (
        np.array([centres[label] for label in LABELS])
        + spread * draw.normal(size=(90, 2))
        + batch * (BATCHES == "x")[:, None]
    )


def test_types_apart_and_batches_mixed_score_best():
    good, noisy = embedding_quality(cells(0.5), LABELS, BATCHES), embedding_quality(cells(30.0), LABELS, BATCHES)
    assert good["nmi"] == pytest.approx(1) and good["ari"] == pytest.approx(1) and good["connectivity"] == 1
    assert good["asw_label"] > 0.9 and good["asw_batch"] > 0.9 and noisy["total"] < 0.7 < good["total"]
    assert embedding_quality(cells(0.5, batch=4.0), LABELS, BATCHES)["asw_batch"] < 0.5


def test_types_of_two_cells_are_left_out_and_one_type_has_no_score():
    rare = LABELS.astype(object)
    rare[:2] = "rare"
    assert embedding_quality(cells(0.5), rare.astype("U"), BATCHES)["nmi"] == pytest.approx(1)
    assert embedding_quality(cells(0.5), np.full(90, "a"), BATCHES) == {}


def test_agreement_is_that_of_the_textbook():
    one, other = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert adjusted_rand(one, other) == pytest.approx(0.2424242424, abs=1e-9)  # scikit-learn's values
    assert mutual_information(one, other) == pytest.approx(0.5158037429793889)
    assert adjusted_rand(one, one + 5) == 1 and mutual_information(one, 1 - one) == pytest.approx(1)


def test_the_export_says_what_the_rows_of_the_embedding_mean(tmp_path, cells_store, cells_inputs):
    from assets_data.lineage import with_overrides
    from training.stages import make_checkpoint, make_preflight_report

    recipe = discover()["cell_mlm"]
    config = with_overrides(recipe.presets["smoke"](), {**SHORT, "gate.prediction": False})
    preflight = make_preflight_report(cells_store, recipe, cells_inputs, config)
    checkpoint = make_checkpoint(cells_store, recipe, cells_inputs, preflight)
    assert "genes.json" in recipe.export(checkpoint, tmp_path).code
    document = json.loads((tmp_path / "genes.json").read_text())
    data = recipe.open_data(cells_store, cells_inputs, config)
    assert [gene["name"] for gene in document["genes"]] == list(data.vocabulary.names)
    assert (
        0
        <= recipe.monitor(recipe.build_model(config, recipe.model_inputs(data, config)), data, config)["probe_accuracy"]
        <= 1
    )
