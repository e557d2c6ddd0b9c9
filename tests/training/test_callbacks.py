"""Callbacks look on: which are there, what they write, and that they ask the device once per log interval."""

import importlib

import numpy as np
import pytest
import torch

from assets_data.lineage import ConfigError
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import beginning
from training.callbacks import Callback
from training.checkpoint import read_state
from training.finite import DeviceGuard
from training.journal import Journal
from training.loop import train
from training.metrics import read_lines


def go(directory, callbacks=(), **overrides):
    return train(ToyRecipe(), toy_config(**overrides), toy_data(), directory, code="c", callbacks=callbacks)


def weights(finished):
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


class Counting(Callback):
    """Keeps a number over resumes, and looks at everything."""

    def __init__(self):
        self.count = 0

    def step_end(self, run):
        self.count += 1
        float(run.step.scalars["loss"])
        [p.detach().sum().item() for p in run.model.parameters()]

    def state(self):
        return {"count": self.count}

    def restore(self, state):
        self.count = state.get("count", 0)


def test_a_callback_that_looks_at_everything_changes_no_bit(tmp_path):
    assert torch.equal(weights(go(tmp_path / "a")), weights(go(tmp_path / "b", [Counting()])))


def test_what_a_callback_keeps_survives_a_resume(tmp_path):
    class StopAt(Callback):
        def step_end(self, run):
            if run.update == 8:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, [Counting(), StopAt()])
    counting = Counting()
    go(tmp_path, [counting])
    assert counting.count == 12  # 6 at the checkpoint and 6 more


def test_every_callback_lets_go_however_the_run_ends(tmp_path):
    class Closing(Callback):
        def close(self):
            closed.append(1)

    class Fails(Callback):
        def step_end(self, run):
            raise KeyboardInterrupt

    closed: list[int] = []
    go(tmp_path / "a", [Closing()])
    go(tmp_path / "a", [Closing()])  # finished already: it never began
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "b", [Closing(), Fails()])
    assert len(closed) == 3


def test_the_device_is_asked_once_per_log_interval(tmp_path, monkeypatch):
    """As on CUDA, where every question costs a synchronisation: 12 updates, log lines after 5, 10 and 12."""
    asked = {"finite": 0, "numbers": 0}

    def count(cls, name, key, when=lambda self: True):
        method = getattr(cls, name)

        def counted(self, *arguments):
            asked[key] += when(self)
            return method(self, *arguments)

        monkeypatch.setattr(cls, name, counted)

    monkeypatch.setattr(beginning, "finite_guard", DeviceGuard)
    count(DeviceGuard, "first_bad_update", "finite")
    count(Journal, "commit", "numbers", lambda journal: bool(journal._pending))
    data = toy_data(rows=100)  # no epoch's edge before the end, which is a look of its own
    sparse = {"train.log_every": 5, "train.monitor_every": 0, "train.checkpoint_every": 12}
    train(ToyRecipe(), toy_config(**sparse), data, tmp_path, code="c")
    assert asked == {"finite": 3 + 1, "numbers": 3}


def test_the_log_file_tells_where_the_run_began_each_epoch_and_how_it_ended(tmp_path):
    go(tmp_path)
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert lines[0] == "begins after update 0 of 12, on cpu" and lines[-1] == "ends after update 12, as planned"
    assert [line.split()[:2] for line in lines[1:-1]] == [["epoch", "0"], ["epoch", "1"], ["epoch", "2"]]


def test_config_and_references_lie_beside_every_checkpoint(tmp_path):
    import json

    train(
        ToyRecipe(),
        toy_config(),
        toy_data(),
        tmp_path,
        code="c",
        references={"manifest": "sha256:m", "tokenizer": None},
    )
    for path in sorted((tmp_path / "checkpoints").iterdir()):
        references = json.loads((path / "references.json").read_text())
        assert references == {"manifest": "sha256:m", "tokenizer": None, "corpus": {"toy": "sha256:toy"}}
        assert json.loads((path / "config.json").read_text())["train"]["updates"] == 12
        assert {"config.json", "references.json"} <= set(read_state(path)["files"])


def test_tensorboard_gets_every_line_of_the_history(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    plain, tracked = go(tmp_path / "a"), go(tmp_path / "b", **{"train.trackers": ["tensorboard"]})
    events = accumulator.EventAccumulator(str(tmp_path / "b" / "tensorboard"))
    events.Reload()
    sent = {event.step: event.value for event in events.Scalars("loss")}
    logged = {x["update"]: x["loss"] for x in read_lines(tmp_path / "b" / "metrics.jsonl") if "loss" in x}
    assert sent == {update: np.float32(value) for update, value in logged.items()} and len(sent) == 12
    assert {"grad_norm", "lr", "heldout", "val_loss"} <= set(events.Tags()["scalars"])
    assert torch.equal(weights(plain), weights(tracked))
    assert not (tmp_path / "a" / "tensorboard").exists()  # off by default


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_without_its_package_says_so_before_training(tmp_path, monkeypatch, name):
    real = importlib.import_module

    def without(package, *arguments):
        if package == name:
            raise ImportError(package)
        return real(package, *arguments)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigError, match=f"pip install {name}") as caught:
        go(tmp_path, **{"train.trackers": [name]})
    assert caught.value.code == "TRACKER_MISSING" and not (tmp_path / "checkpoints").exists()


def test_f28_a_save_that_fails_surfaces_in_its_own_step(tmp_path, monkeypatch):
    """Unless saves are asked for behind the run, there is no later step at which an error could surface, or be lost."""
    from assets_data.lineage import StorageError
    from training import checkpoint

    def refuse(*arguments):
        raise StorageError("STORAGE_ENOSPC", "cannot write")

    monkeypatch.setattr(checkpoint.Draft, "write", refuse)
    seen: list[int] = []

    class Watch(Callback):
        def step_begin(self, run):
            seen.append(run.update)

    with pytest.raises(StorageError):
        go(tmp_path, [Watch()])
    assert seen == [0, 1, 2]  # the save after the third update


def test_d2_a_training_says_where_it_is_in_the_log_and_how_long_it_will_take(tmp_path, caplog):
    with caplog.at_level("INFO", logger="training"):
        finished = go(tmp_path)
    lines = [record.getMessage() for record in caplog.records if record.name == "training.callbacks.reports"]
    updates = finished.plan.updates
    assert lines[0].startswith(f"update 0 of {updates}: begins") and "s left" in lines[1] and "loss" in lines[1]
    assert lines[-1].startswith(f"update {updates} of {updates}:") and "done in" in lines[-1]
    assert len(lines) <= 2 + updates // finished.plan.log_every
