"""The best checkpoint by a held-out metric, and ending a run that no longer improves."""

import os

import pytest
import torch

from assets_data.lineage import ConfigError
from assets_data.lineage.storage import verified
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.checkpoint import load_tensors, read_state, stored
from training.loop import train
from training.run_directory import BEST, CHECKPOINTS, METRICS

CURVE = {2: 5.0, 4: 3.0, 6: 3.5, 8: 2.9, 10: 4.0, 12: 4.5}
"""What the scripted monitor says after each update that it is asked at."""
BASE = {"train.monitor_every": 2, "train.best.metric": "score", "train.keep_checkpoints": 1}


class Scripted(ToyRecipe):
    """Measures what the curve says of the update the attached run has finished."""

    def __init__(self, curve=None):
        self.curve, self.run = curve or CURVE, None

    def monitor(self, model, data, config):
        return {"score": self.curve[self.run.update]}


class Attach(Callback):
    def train_begin(self, run):
        run.recipe.run = run


class Stop(Exception):
    pass


class StopAt(Callback):
    def __init__(self, update):
        self.update = update

    def step_begin(self, run):
        if run.update == self.update:
            raise Stop


def go(directory, callbacks=(), curve=None, **overrides):
    config = toy_config(**{**BASE, **overrides})
    return train(Scripted(curve), config, toy_data(), directory, code="c", callbacks=[Attach(), *callbacks])


def best(directory):
    return [path.name for path in stored(directory / BEST)]


def test_the_best_checkpoint_outlives_retention(tmp_path):
    go(tmp_path)
    assert best(tmp_path) == ["00000008"] and [p.name for p in stored(tmp_path / CHECKPOINTS)] == ["00000012"]
    state = read_state(tmp_path / BEST / "00000008")
    assert state["update"] == 8 and load_tensors(tmp_path / BEST / "00000008", state)["model"]


def test_the_best_checkpoint_is_a_hard_link_and_not_a_second_write(tmp_path):
    go(tmp_path, **{"train.keep_checkpoints": 9})
    for name in read_state(tmp_path / BEST / "00000008")["files"]:
        assert os.path.samefile(tmp_path / BEST / "00000008" / name, tmp_path / CHECKPOINTS / "00000008" / name)


def test_linking_the_best_one_and_pruning_hash_no_checkpoint_a_second_time(tmp_path, monkeypatch):
    hashed = []
    original = verified.digest_file
    monkeypatch.setattr(verified, "digest_file", lambda path: hashed.append(path) or original(path))
    go(tmp_path, curve={update: 100.0 - update for update in CURVE})
    assert len(hashed) == len(set(hashed)) > 8  # each as it was written, in its temporary folder
    assert all(".tmp-" in path.parent.name for path in hashed)


def test_more_can_be_better(tmp_path):
    go(tmp_path, **{"train.best.mode": "max"})
    assert best(tmp_path) == ["00000002"]


def test_an_improvement_must_exceed_min_delta(tmp_path):
    go(tmp_path, **{"train.best.min_delta": 0.2})
    assert best(tmp_path) == ["00000004"]


def test_patience_counts_measurements_against_the_best_and_not_the_last(tmp_path):
    rising = {2: 1.0, 4: 3.0, 6: 2.0, 8: 1.5, 10: 1.2, 12: 1.1}  # better than the last each time, never than the best
    finished = go(tmp_path, curve=rising, **{"train.best.patience": 3})
    assert finished.ended and finished.update == 8


def test_the_run_ends_after_patience_with_a_final_checkpoint(tmp_path):
    finished = go(tmp_path, **{"train.best.patience": 2})
    assert finished.ended and finished.update == 12  # nothing better than 2.9 at 10 and at 12
    finished = go(tmp_path / "b", **{"train.best.patience": 1})
    assert finished.update == 6 and finished.finished and read_state(finished.final)["ended"]
    assert [p.name for p in stored(tmp_path / "b" / CHECKPOINTS)] == ["00000006"]


def test_before_grace_the_run_is_not_ended(tmp_path):
    assert go(tmp_path, **{"train.best.patience": 1, "train.best.grace": 7}).update == 10


def test_an_ended_run_returns_at_once(tmp_path):
    first = go(tmp_path, **{"train.best.patience": 1})
    again = go(tmp_path, callbacks=[StopAt(7)], **{"train.best.patience": 1})
    assert again.finished and again.update == 6 and again.final == first.final
    pairs = zip(first.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("cut", [3, 5, 7, 9, 11])
def test_best_and_patience_survive_a_resume(tmp_path, cut):
    change = {"train.best.patience": 2, "train.checkpoint_every": 3, "train.best.min_delta": 0.2}
    calm = go(tmp_path / "calm", **change)
    with pytest.raises(Stop):
        go(tmp_path / "cut", callbacks=[StopAt(min(cut, calm.update - 1))], **change)
    resumed = go(tmp_path / "cut", **change)
    assert (resumed.update, best(tmp_path / "cut")) == (calm.update, best(tmp_path / "calm")) == (8, ["00000004"])
    assert (tmp_path / "cut" / METRICS).read_bytes() == (tmp_path / "calm" / METRICS).read_bytes()
    assert read_state(resumed.final)["files"] == read_state(calm.final)["files"]


def test_a_best_from_after_the_resumed_update_is_taken_back(tmp_path):
    with pytest.raises(Stop):
        go(tmp_path, callbacks=[StopAt(9)], **{"train.keep_checkpoints": 9})
    for name in ("00000008", "00000009"):
        for file in (tmp_path / CHECKPOINTS / name).glob("*.safetensors"):
            data = file.read_bytes()
            file.unlink()  # the best is linked to the same bytes
            file.write_bytes(data[:-1])
    with pytest.raises(Stop):
        go(tmp_path, callbacks=[StopAt(7)], **{"train.keep_checkpoints": 9})
    assert best(tmp_path) == []
    go(tmp_path, **{"train.keep_checkpoints": 9})
    assert best(tmp_path) == ["00000008"]


def test_patience_with_a_metric_nobody_measures_is_refused_naming_those_measured(tmp_path):
    with pytest.raises(ConfigError, match=r"heldout|score") as caught:
        go(tmp_path, **{"train.best.metric": "bleu", "train.best.patience": 1})
    assert caught.value.code == "BEST_METRIC_UNKNOWN"
