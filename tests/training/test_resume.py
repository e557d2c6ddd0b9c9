"""Continuing a run: where it may, where it must not, and what it says when it may but the bits may differ."""

import fcntl
import json
import os
import signal
import threading

import pytest
import torch

from assets_data.lineage import TrainingError
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import environment
from training.callbacks import Callback
from training.checkpoint import read_state, stored
from training.loop import train
from training.run_directory import CHECKPOINTS, LOCK, METRICS


class Interrupt(Exception):
    pass


class StopAt(Callback):
    """Leaves the loop at a step's edge, all its callbacks done, as a crash of the process would."""

    def __init__(self, update):
        self.update = update

    def step_begin(self, run):
        if run.update == self.update:
            raise Interrupt

    train_end = step_begin


class SignalAt(StopAt):
    train_end = Callback.train_end

    def step_begin(self, run):
        pass

    def step_end(self, run):
        if run.update == self.update:
            os.kill(os.getpid(), signal.SIGTERM)


def go(directory, data=None, code="c", callbacks=(), **overrides):
    return train(ToyRecipe(), toy_config(**overrides), data or toy_data(), directory, code=code, callbacks=callbacks)


def interrupted(directory, update, **overrides):
    with pytest.raises(Interrupt):
        go(directory, callbacks=[StopAt(update)], **overrides)


def weights(finished):
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


def files(directory):
    """Digests of the last checkpoint's tensors, and the history's bytes."""
    state = read_state(stored(directory / CHECKPOINTS)[-1])
    return state["files"], (directory / METRICS).read_bytes()


@pytest.mark.parametrize("update", [5, 10, 12], ids=["epoch edge", "second epoch edge", "last step"])
def test_f24_stopped_exactly_at_an_edge_no_epoch_is_skipped(tmp_path, update):
    every = {"train.checkpoint_every": 5}
    go(tmp_path / "calm", **every)
    interrupted(tmp_path / "cut", update, **every)
    go(tmp_path / "cut", **every)
    assert files(tmp_path / "cut") == files(tmp_path / "calm")


def test_f24_success_means_a_verified_final_checkpoint(tmp_path):
    class Spoil(Callback):
        def train_end(self, run):
            (run.final / "model.safetensors").write_bytes(b"torn")

    with pytest.raises(Exception, match="CHECKPOINT_FILE"):
        go(tmp_path, callbacks=[Spoil()])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("corpus.toy", {"corpus": "sha256:other"}),
        ("config.train.optimizer.lr", {"overrides": {"train.optimizer.lr": 2e-2}}),
        ("config.train.seed", {"overrides": {"train.seed": 9}}),
        ("config.dropout", {"overrides": {"dropout": 0.3}}),
        ("code", {"code": "d"}),
    ],
)
def test_f30_another_run_is_refused_naming_what_differs(tmp_path, field, change):
    interrupted(tmp_path, 4)
    before = files(tmp_path)
    with pytest.raises(TrainingError) as caught:
        change_run(tmp_path, **change)
    assert caught.value.code == "RESUME_MISMATCH" and f" {field}: " in str(caught.value)
    assert files(tmp_path) == before


def test_f30_all_differences_are_listed_at_once(tmp_path):
    interrupted(tmp_path, 4)
    overrides = {"train.seed": 9, "train.updates": 24}
    with pytest.raises(TrainingError) as caught:
        change_run(tmp_path, corpus="sha256:other", code="d", overrides=overrides)
    listed = str(caught.value)
    assert all(f" {name}: " in listed for name in ("corpus.toy", "config.train.seed", "config.train.updates", "code"))
    assert "dropout" not in listed and "12 in the checkpoint, 24 now" in listed


def change_run(directory, corpus=None, code="c", overrides=None):
    data = toy_data()
    data.members = {"toy": corpus} if corpus else data.members
    return go(directory, data, code, **(overrides or {}))


@pytest.mark.parametrize(("fact", "value"), [("threads", 3), ("torch", "9.9"), ("device", "tpu"), ("gpu", "X1")])
def test_f31_another_machine_continues_and_says_that_it_is_not_bit_exact(tmp_path, monkeypatch, fact, value):
    interrupted(tmp_path, 4)
    facts = environment.bit_facts(torch.device("cpu"))
    monkeypatch.setattr("training.run.bit_facts", lambda device: {**facts, "threads": 1, fact: value})
    finished = go(tmp_path)
    assert finished.finished and len(finished.inexact) == 1 and finished.inexact[0].startswith(f"{fact} changed")
    assert read_state(finished.final)["inexact"] == finished.inexact


def test_f31_a_reason_once_given_stays(tmp_path, monkeypatch):
    interrupted(tmp_path, 4)
    facts = {**environment.bit_facts(torch.device("cpu")), "threads": 1}
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("training.run.bit_facts", lambda device: {**facts, "threads": 3})
        interrupted(tmp_path, 7)
    finished = go(tmp_path)
    assert finished.inexact == ["threads changed from 1 to 3", "threads changed from 3 to 1"]


def test_f31_the_same_machine_is_bit_exact(tmp_path):
    interrupted(tmp_path, 4)
    assert go(tmp_path).inexact == []


def test_f34_sigterm_saves_once_at_the_step_edge_and_a_rerun_ends_bit_equal(tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    go(tmp_path / "calm")
    with pytest.raises(TrainingError) as caught:
        go(tmp_path / "cut", callbacks=[SignalAt(5)])
    assert caught.value.code == "STOPPED" and "after update 5" in caught.value.what
    assert [p.name for p in stored(tmp_path / "cut" / CHECKPOINTS)] == ["00000003", "00000005"]
    assert signal.getsignal(signal.SIGTERM) is handler
    go(tmp_path / "cut")
    assert files(tmp_path / "cut") == files(tmp_path / "calm")


def test_f34_a_second_signal_takes_effect_at_once(tmp_path):
    class Twice(Callback):
        def step_end(self, run):
            if run.update == 5:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, callbacks=[Twice()])
    assert [p.name for p in stored(tmp_path / CHECKPOINTS)] == ["00000003"]


def test_outside_the_main_thread_training_runs_without_handlers(tmp_path):
    finished = []
    worker = threading.Thread(target=lambda: finished.append(go(tmp_path)))
    worker.start()
    worker.join()
    assert finished[0].finished


def test_f35_a_second_trainer_is_refused_and_changes_nothing(tmp_path):
    interrupted(tmp_path, 4)
    before = files(tmp_path)
    with open(tmp_path / LOCK, "a+") as held:
        held.truncate(0)
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TrainingError) as caught:
            go(tmp_path)
    assert caught.value.code == "RUN_IN_USE" and "4711" in str(caught.value)
    assert files(tmp_path) == before
    assert go(tmp_path).finished


def test_f35_the_lease_is_held_for_the_whole_run(tmp_path):
    class TryAgain(Callback):
        def step_end(self, run):
            with pytest.raises(TrainingError) as caught:
                go(tmp_path)
            codes.add(caught.value.code)

    codes: set[str] = set()
    go(tmp_path, callbacks=[TryAgain()])
    assert codes == {"RUN_IN_USE"}


def test_a_changed_history_is_refused(tmp_path):
    interrupted(tmp_path, 7)
    history = tmp_path / METRICS
    lines = history.read_text().splitlines(keepends=True)
    record = json.loads(lines[0])
    lines[0] = json.dumps({**record, "loss": record["loss"] / 2}, sort_keys=True) + "\n"
    history.write_text("".join(lines))
    with pytest.raises(TrainingError) as caught:
        go(tmp_path)
    assert caught.value.code == "HISTORY_CHANGED"


def test_without_any_checkpoint_yet_the_run_begins_again_with_an_empty_history(tmp_path):
    go(tmp_path / "calm")
    interrupted(tmp_path / "cut", 2)
    go(tmp_path / "cut")
    assert files(tmp_path / "cut") == files(tmp_path / "calm")


@pytest.mark.parametrize("name", ["SGD", "Adam", "Lion", "AdaBelief"])
def test_every_kind_of_optimizer_state_survives(tmp_path, name):
    kwargs = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = {"train.optimizer": {"name": name, "lr": 1e-2, "weight_decay": 0.01, "kwargs": kwargs}}
    go(tmp_path / "calm", **optimizer)
    interrupted(tmp_path / "cut", 7, **optimizer)
    go(tmp_path / "cut", **optimizer)
    assert files(tmp_path / "cut") == files(tmp_path / "calm")
