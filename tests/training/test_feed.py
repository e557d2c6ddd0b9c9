"""Batches made ahead by a thread: the same ones, each once, and no thread stays."""

import threading

import pytest

from assets_data.lineage import ConfigError
from tests.training.test_kill import outcome
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.checkpoint import read_state
from training.feed import Feed
from training.loop import train
from training.parallel.world import World, joined


class Noting(ToyRecipe):
    """Notes which thread made the batch of which rows."""

    def __init__(self):
        self.made = []

    def batch(self, data, config, rows, epochs):
        if data.validation is not None:  # the training rows, not the held-out ones
            self.made.append((threading.current_thread().name.split("_")[0], tuple(rows), tuple(epochs)))
        return super().batch(data, config, rows, epochs)


def go(directory, ahead, recipe=None, callbacks=(), **overrides):
    config, world = toy_config(**overrides), World(ahead=ahead)
    return train(recipe or Noting(), config, toy_data(), directory, code="c", callbacks=callbacks, world=world)


@pytest.mark.parametrize("ahead", [1, 3, 50])
@pytest.mark.parametrize("overrides", [{}, {"train.accumulation": 2}, {"train.lanes": 2}], ids=str)
def test_batches_made_ahead_change_no_bit_and_each_is_made_once(tmp_path, ahead, overrides):
    plain, fed = Noting(), Noting()
    go(tmp_path / "plain", 0, plain, **overrides)
    go(tmp_path / "fed", ahead, fed, **overrides)
    assert outcome(tmp_path / "fed") == outcome(tmp_path / "plain")
    assert [made[1:] for made in fed.made] == [made[1:] for made in plain.made]
    assert {made[0] for made in fed.made} == {"batches"} != {made[0] for made in plain.made}
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())


@pytest.mark.parametrize("overrides", [{}, {"train.accumulation": 2}, {"train.lanes": 2}], ids=str)
def test_a_recipe_that_changes_the_rows_it_is_given_changes_nobody_elses(tmp_path, overrides):
    class Spoiling(ToyRecipe):
        def batch(self, data, config, rows, epochs):
            made = super().batch(data, config, rows, epochs)
            rows[:], epochs[:] = 0, 9
            return made

    plain, spoilt = (go(tmp_path / type(r).__name__, 0, r, **overrides) for r in (ToyRecipe(), Spoiling()))
    assert outcome(spoilt.directory) == outcome(plain.directory)
    assert read_state(spoilt.final)["rows_digest"] == read_state(plain.final)["rows_digest"]


def test_a_batch_that_cannot_be_made_is_said_at_its_update_and_no_thread_stays(tmp_path):
    class Broken(ToyRecipe):
        def batch(self, data, config, rows, epochs):
            if threading.current_thread().name.startswith("batches") and len(seen) == 5:
                raise ValueError("row 3")
            return super().batch(data, config, rows, epochs)

    class Count(Callback):
        def step_end(self, run):
            seen.append(run.update)

    seen = []
    with pytest.raises(ValueError, match="row 3"):
        go(tmp_path, 1, Broken(), [Count()])
    assert seen[-1] in (5, 6) and not any(thread.name.startswith("batches") for thread in threading.enumerate())


def test_where_nobody_said_a_process_alone_on_a_cpu_makes_none_ahead_and_one_of_several_two(tmp_path):
    run = go(tmp_path, None, recipe := Noting())
    assert {made[0] for made in recipe.made} == {threading.current_thread().name}
    for world, expected in ((World(), 0), (World(size=2), 2), (World(size=2, ahead=0), 0), (World(ahead=5), 5)):
        run.world = world
        assert Feed(run).ahead == expected


def test_fewer_than_none_ahead_is_refused():
    with pytest.raises(ConfigError, match="AHEAD_NEGATIVE"), joined(ahead=-1):
        pass
