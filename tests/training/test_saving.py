"""Checkpoints written behind the run: the same ones, whole, one at a time, and what fails is said."""

import errno
import gc
import threading

import pytest

from assets_data.lineage import StorageError
from tests.training.test_kill import check, drive, outcome
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import checkpoint
from training.callbacks import Callback
from training.checkpoint import stored
from training.loop import train
from training.parallel.world import World
from training.saving import Saving

BEHIND = World(behind=True)


def go(directory, callbacks=(), world=BEHIND, **overrides):
    return train(
        ToyRecipe(), toy_config(**overrides), toy_data(), directory, code="c", callbacks=callbacks, world=world
    )


def names(directory):
    return [path.name for path in stored(directory / "checkpoints")]


def test_what_is_written_behind_the_run_is_what_is_written_at_its_edge(tmp_path):
    go(tmp_path / "behind")
    go(tmp_path / "edge", world=World())
    assert names(tmp_path / "behind") == names(tmp_path / "edge") == ["00000006", "00000009", "00000012"]
    assert outcome(tmp_path / "behind") == outcome(tmp_path / "edge")


class At(Callback):
    def __init__(self, update, act):
        self.update, self.act = update, act

    def step_begin(self, run):
        if run.update == self.update:
            self.act(run)


def test_updates_go_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    written, go_on, seen = checkpoint.save_file, threading.Event(), []

    def slow(tensors, path):
        assert go_on.wait(60)  # at the step's edge this would wait for what only a later update says
        written(tensors, path)

    def look(run):
        seen.append((names(tmp_path), run.pending is not None))
        go_on.set()

    monkeypatch.setattr(checkpoint, "save_file", slow)
    go(tmp_path, [At(5, look)])
    assert seen == [([], True)] and names(tmp_path)[-1] == "00000012"


def test_f28_what_fails_behind_the_run_is_said_at_an_edge_and_the_ones_before_stay(tmp_path, monkeypatch):
    written, broken = checkpoint.save_file, []

    def full(tensors, path):
        if path.parent.name.startswith(".tmp-00000009"):
            broken.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    reached = []
    with pytest.raises(StorageError, match="STORAGE_ENOSPC"):
        go(tmp_path, [At(update, lambda run: reached.append(run.update)) for update in range(12)])
    assert broken and reached[-1] >= 9 and names(tmp_path) == ["00000003", "00000006"]
    assert not list(tmp_path.rglob(".tmp-*"))
    monkeypatch.undo()
    go(tmp_path)
    go(tmp_path / "calm")
    assert outcome(tmp_path) == outcome(tmp_path / "calm")


def test_a_run_that_ends_by_an_error_publishes_what_was_written(tmp_path):
    def fail(run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, [At(3, fail)])  # the state of update 3 was copied a moment ago
    assert names(tmp_path) == ["00000003"] and not list(tmp_path.rglob(".tmp-*"))


def test_no_copy_and_no_thread_is_left_after_it_was_published(tmp_path):
    alive, before = [], threading.active_count()
    count = At(29, lambda run: alive.append(sum(type(o) is Saving for o in gc.get_objects())))
    go(tmp_path, [count], BEHIND, **{"train.updates": 30, "train.checkpoint_every": 1})
    assert alive[0] <= 1 and threading.active_count() == before
    gc.collect()
    assert not any(type(o) is Saving for o in gc.get_objects())


def test_f23_killed_at_any_moment_of_a_save_behind_it_the_run_ends_bit_equal(tmp_path):
    plans = ["u3", "u4", "u7", "u10", *(f"e{event}" for event in range(5, 100, 9)), "u4,e30,e9"]
    check(tmp_path, drive(tmp_path, ["none", *plans], "toy_behind"), plans)
