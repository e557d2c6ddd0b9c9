"""A measurement that is undefined is missing: null in the log, said as a warning, never an improvement or a pass."""

import json
import logging
import math

import numpy as np
import pytest
import torch

from assets_data.lineage import TrainingError, canonical_json
from tests.training.test_best import CURVE, Stop, StopAt, best, go
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.callbacks.collapse import Collapse
from training.checkpoint import newest, read_state
from training.findings import Measurement
from training.gate import judge
from training.loop import train
from training.metrics import curves, finite, read_lines
from training.run_directory import CHECKPOINTS, METRICS

NAN, INF = math.nan, math.inf
HOLED = {**CURVE, 4: NAN, 8: INF}


def scores(directory):
    return {
        x["update"]: x["monitor"]["score"] for x in read_lines(directory / METRICS) if "score" in x.get("monitor", ())
    }


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_run_goes_on_over_an_undefined_measurement_and_says_which(tmp_path, value, caplog):
    finished = go(tmp_path, curve={**CURVE, 4: value})
    assert finished.finished and finished.update == 12
    assert scores(tmp_path) == {**CURVE, 4: None}
    said = [r.getMessage() for r in caplog.records if r.name == "training.journal"]
    assert said == ["update 4: not a finite number, so missing in the log: score"]
    json.loads((tmp_path / METRICS).read_text().splitlines()[-1], parse_constant=pytest.fail)


def test_training_is_the_same_bits_with_and_without_the_hole(tmp_path):
    runs = [go(tmp_path / name, curve=curve) for name, curve in (("a", CURVE), ("b", HOLED))]
    assert read_state(runs[0].final)["checkpoint_id"] == read_state(runs[1].final)["checkpoint_id"]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_undefined_measurement_is_never_the_best_and_counts_against_patience(tmp_path, mode):
    go(tmp_path / "first", curve={**CURVE, 2: NAN, 8: INF if mode == "max" else -INF}, **{"train.best.mode": mode})
    assert best(tmp_path / "first") == [{"min": "00000004", "max": "00000012"}[mode]]
    ended = go(tmp_path / "all", curve=dict.fromkeys(CURVE, NAN), **{"train.best.mode": mode, "train.best.patience": 3})
    assert ended.ended and ended.update == 6 and best(tmp_path / "all") == []


@pytest.mark.parametrize("cut", [3, 5, 9])
def test_a_history_with_holes_survives_a_resume(tmp_path, cut):
    calm = go(tmp_path / "calm", curve=HOLED)
    with pytest.raises(Stop):
        go(tmp_path / "cut", callbacks=[StopAt(cut)], curve=HOLED)
    resumed = go(tmp_path / "cut", curve=HOLED)
    assert (tmp_path / "cut" / METRICS).read_bytes() == (tmp_path / "calm" / METRICS).read_bytes()
    assert read_state(resumed.final)["callbacks"] == read_state(calm.final)["callbacks"]


def test_a_curve_has_no_point_where_a_value_is_missing_and_none_at_all_without_one(tmp_path):
    go(tmp_path, curve=HOLED)
    found = curves(tmp_path / METRICS)
    assert found["score"] == {"updates": [2, 6, 10, 12], "values": [CURVE[u] for u in (2, 6, 10, 12)]}
    go(tmp_path / "none", curve=dict.fromkeys(CURVE, NAN))
    assert "score" not in curves(tmp_path / "none" / METRICS)


class Auxiliary(ToyRecipe):
    """An auxiliary loss that is undefined, apart from what is minimised: training is sound."""

    def loss(self, model, config, batch):
        return {**super().loss(model, config, batch), "distance": torch.tensor(NAN)}


def test_an_auxiliary_loss_and_its_validation_may_be_undefined(tmp_path):
    finished = train(Auxiliary(), toy_config(**{"train.validate_every": 4}), toy_data(), tmp_path, code="c")
    lines = list(read_lines(tmp_path / METRICS))
    assert finished.update == 12 and all(line["distance"] is None for line in lines if "distance" in line)
    assert {line["monitor"]["val_distance"] for line in lines if "val_distance" in line.get("monitor", ())} == {None}


def test_trackers_are_told_of_what_there_is(tmp_path):
    told = []

    class Listen(Callback):
        def train_begin(self, run):
            run.journal.listeners.append(lambda update, points: told.append((update, dict(points))))

    go(tmp_path, callbacks=[Listen()], curve=HOLED)
    assert (4, {}) in told and (6, {"score": CURVE[6]}) in told


@pytest.mark.parametrize("value", [torch.tensor(2.5), np.float32(2.5), np.array(2.5), 2, True])
def test_anything_that_is_one_number_is_taken_as_one(tmp_path, value):
    go(tmp_path, curve=dict.fromkeys(CURVE, value))
    assert set(scores(tmp_path).values()) == {float(value)}


@pytest.mark.parametrize("value", ["high", None, [1.0], torch.ones(3), {"a": 1.0}])
def test_what_is_no_number_is_refused_by_name_and_the_last_good_checkpoint_stays(tmp_path, value):
    with pytest.raises(TrainingError) as error:
        go(tmp_path, curve={**CURVE, 8: value}, **{"train.checkpoint_every": 3})
    assert error.value.code == "MEASUREMENT_TYPE" and "'score' after update 8" in str(error.value)
    _path, state = newest(tmp_path / CHECKPOINTS)
    assert state["update"] == 6 and best(tmp_path) == ["00000004"]
    assert go(tmp_path, **{"train.checkpoint_every": 3}).update == 12


def test_an_undefined_collapse_metric_is_no_baseline(caplog):
    caplog.set_level(logging.WARNING)
    watch = Collapse()
    for distance in (NAN, 2.0):
        others = {"pred_var_per_dim": 1.0, "target_var_per_dim": 1.0, "kl_reg": NAN}
        watch._judge(1, "state", {**others, "pairwise_pred_dist_mean": distance})
    assert watch.first == {"state": 2.0}
    canonical_json(watch.state())


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_an_undefined_measurement_passes_no_gate(value):
    measured = Measurement(name="a", threshold="rule", value=value, checks=10, hits=None)
    verdict = judge([measured], {"rule": 0.8})
    assert verdict["verdict"] == "undetermined" and verdict["reasons"] == ["a is undefined"]
    canonical_json(verdict)


def test_null_stands_for_every_number_json_does_not_know_at_any_depth():
    found = finite({"a": NAN, "b": [1, {"c": INF}], "d": "x", "e": None, "f": (2.5, -INF)})
    assert found == {"a": None, "b": [1, {"c": None}], "d": "x", "e": None, "f": [2.5, None]}
