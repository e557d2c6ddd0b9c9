"""Branching: a new run from another run's checkpoint, and the retraining of a run without a withdrawn record."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from assets_data.lineage import TrainingError, with_overrides
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.toy import ToyData, ToyRecipe, toy_config, toy_data
from tests.training.walks import make_inputs
from training.branch import Origin, same_run
from training.checkpoint import load_tensors, read_state, stored
from training.config import derived_seed
from training.loop import train
from training.metrics import read_lines
from training.order import Order, OrderDigest
from training.recipe import discover
from training.run_directory import CHECKPOINTS, LOG, METRICS
from training.stages import make_checkpoint, make_preflight_report
from training.training_state import publish_state

SMALL = {"train.batch_rows": 2, "train.keep_checkpoints": 9}


def go(directory, data=None, origin=None, code="c", recipe=None, **overrides):
    config = toy_config(**{**SMALL, **overrides})
    return train(recipe or ToyRecipe(), config, data or toy_data(), directory, code=code, origin=origin)


def at(directory, update, **options):
    return Origin(checkpoint=directory / CHECKPOINTS / f"{update:08d}", **options)


def without(row):
    data = toy_data()
    left = ToyData(np.delete(data.rows, row, axis=0), validation=data.validation)
    left.members = {"toy": f"sha256:without {row}"}
    return left


def last_clean(finished, row):
    """The newest kept checkpoint before the first update that took ``row``."""
    first = next(finished.order.uses(row, finished.update))
    return max((int(p.name) for p in stored(finished.directory / CHECKPOINTS) if int(p.name) <= first), default=0)


@pytest.mark.parametrize("row", range(20))
def test_a_withdrawn_rows_retraining_is_bit_equal_to_a_run_that_never_held_it(tmp_path, row):
    full = go(tmp_path / "full", **{"train.checkpoint_every": 1})
    clean = last_clean(full, row)
    if not clean:  # used by the very first update: there is nothing to keep
        return
    never = go(tmp_path / "never", without(row), **{"train.checkpoint_every": 1})
    branched = go(tmp_path / "branch", without(row), at(tmp_path / "full", clean), **{"train.checkpoint_every": 1})
    expected, found = read_state(never.final), read_state(branched.final)
    assert found["files"] == expected["files"]
    assert found["rows_digest"] == expected["rows_digest"] and branched.inexact == []
    assert (tmp_path / "branch" / METRICS).read_bytes() == (tmp_path / "never" / METRICS).read_bytes()


def test_a_checkpoint_that_saw_the_row_is_refused(tmp_path):
    full = go(tmp_path / "full", **{"train.checkpoint_every": 1})
    row = int(full.order.batch(4)[0][0])
    clean = last_clean(full, row)
    with pytest.raises(TrainingError) as caught:
        go(tmp_path / "branch", without(row), at(tmp_path / "full", clean + 1), **{"train.checkpoint_every": 1})
    assert caught.value.code == "BRANCH_ORDER" and not stored(tmp_path / "branch" / CHECKPOINTS)


def test_a_branch_is_a_run_of_its_own_that_names_its_origin_and_resumes(tmp_path):
    full = go(tmp_path / "full")
    origin = at(tmp_path / "full", 6)
    branched = go(tmp_path / "branch", origin=origin, **{"train.updates": 15})
    state = read_state(branched.final)
    source = read_state(origin.checkpoint)
    named = state["fingerprint"]["origin"]
    assert (named["checkpoint_id"], named["update"]) == (source["checkpoint_id"], 6)
    assert branched.update == 15 and full.update == 12
    assert "config.train.updates changed from 12 to 15" in branched.inexact
    with pytest.raises(TrainingError, match="origin"):
        go(tmp_path / "branch", **{"train.updates": 15})  # the same directory without its origin is another run
    assert go(tmp_path / "branch", origin=origin, **{"train.updates": 15}).finished


def test_an_interrupted_branch_goes_on_from_its_own_checkpoint(tmp_path):
    class Stops(ToyRecipe):
        def loss(self, model, config, batch):
            if len(seen) == 2:
                raise KeyboardInterrupt
            seen.append(1)
            return super().loss(model, config, batch)

    seen: list[int] = []
    go(tmp_path / "full")
    origin = at(tmp_path / "full", 6)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", origin=origin, recipe=Stops())
    assert [p.name for p in stored(tmp_path / "cut" / CHECKPOINTS)] == ["00000006"]
    finished = go(tmp_path / "cut", origin=origin)
    wanted, found = (load_tensors(p, read_state(p)) for p in (tmp_path / "full/checkpoints/00000012", finished.final))
    for part in ("model", "optimizer", "rng"):
        assert all(torch.equal(wanted[part][name], found[part][name]) for name in wanted[part])


def test_a_branch_from_the_last_state_is_finished_and_publishes_the_same_weights(store):
    walk_lm = discover()["walk_lm"]
    inputs = make_inputs(store)
    preflight = make_preflight_report(store, walk_lm, inputs, tiny())
    full = make_checkpoint(store, walk_lm, inputs, preflight)
    facts = full.read_json("training.json")
    first = store.root / "runs" / facts["run_id"]
    origin = publish_state(store, first / CHECKPOINTS / f"{facts['updates']:08d}")
    branched = make_checkpoint(store, walk_lm, inputs, preflight, origin)
    assert branched.id == full.id and branched.receipt != full.receipt and not branched.reused
    (run,) = {path for path in (store.root / "runs").iterdir()} - {first}
    assert "update 8 of 8" in (run / LOG).read_text()
    assert (run / METRICS).read_bytes() == full.file(METRICS).read_bytes()


@pytest.mark.parametrize("changed", [{"train.optimizer.lr": 1e-4}, {"train.grad_clip": 5.0}])
def test_a_branch_with_no_update_left_to_do_under_its_own_settings_is_refused(tmp_path, changed):
    go(tmp_path / "full")
    with pytest.raises(TrainingError, match="BRANCH_NOTHING_LEFT"):
        go(tmp_path / "late", origin=at(tmp_path / "full", 12), **changed)
    assert go(tmp_path / "earlier", origin=at(tmp_path / "full", 6), **changed).finished


def test_a_branch_killed_between_taking_over_the_last_state_and_its_first_line_still_gets_its_log(tmp_path):
    go(tmp_path / "full")
    origin = at(tmp_path / "full", 12)
    go(tmp_path / "cut", origin=origin)
    (tmp_path / "cut" / LOG).unlink()  # all that such a kill leaves is the state
    assert go(tmp_path / "cut", origin=origin).finished and (tmp_path / "cut" / LOG).is_file()


@pytest.mark.parametrize(("changed", "updates"), [({}, 6), ({"train.best.patience": 9}, 12)])
def test_a_branch_from_a_run_that_ended_early_goes_on_only_under_another_config(tmp_path, changed, updates):
    class Worse(ToyRecipe):
        def monitor(self, model, data, config):
            return {"score": next(scores)}

    scores = iter(range(100))
    stops = {"train.monitor_every": 2, "train.best.metric": "score", "train.best.patience": 2}
    full = go(tmp_path / "full", recipe=Worse(), **stops)
    branched = go(tmp_path / "branch", origin=at(tmp_path / "full", 6), recipe=Worse(), **{**stops, **changed})
    assert full.update == 6 and full.ended and branched.update == updates and branched.finished


def test_the_same_run_passes_through_the_last_whole_state_before_other_data_shows(tmp_path):
    full = go(tmp_path / "full", **{"train.checkpoint_every": 1, "train.keep_checkpoints": 20})
    last, config = state_at(full, 12), full.config
    assert same_run(last, ToyRecipe(), config, toy_data(), "c") == last
    more = ToyData(np.insert(toy_data().rows, 3, 0.5, axis=0))
    first = min(t for t in range(13) if not np.array_equal(full.order.keys(t), order_of(more, config).keys(t)))
    assert 0 < first < 12 and same_run(last, ToyRecipe(), config, more, "c") == state_at(full, first)
    for row in range(20):
        clean = last_clean(full, row)
        assert same_run(last, ToyRecipe(), config, without(row), "c") == (state_at(full, clean) if clean else None)
    assert same_run(state_at(full, 2), ToyRecipe(), config, toy_data(), "c") == state_at(full, 2)
    assert same_run(last, ToyRecipe(), with_overrides(config, {"train.updates": 20}), toy_data(), "c") is None
    (last / "model.safetensors").unlink()
    assert same_run(last, ToyRecipe(), config, toy_data(), "c") == state_at(full, 11)


def state_at(finished, update):
    return finished.directory / CHECKPOINTS / f"{update:08d}"


def order_of(data, config):
    return Order(derived_seed(config.train.seed, "order"), data.row_keys, config.train.batch_rows)


def test_reset_progress_takes_the_weights_only(tmp_path):
    go(tmp_path / "full")
    data = without(3)
    frozen = {"train.optimizer.lr": 1e-30, "train.optimizer.weight_decay": 0.0, "train.updates": 3}
    tuned = go(tmp_path / "tuned", data, at(tmp_path / "full", 12, reset_progress=True), **frozen)
    source = load_tensors(tmp_path / "full/checkpoints/00000012", read_state(tmp_path / "full/checkpoints/00000012"))
    model = tuned.model.state_dict()
    assert all(torch.equal(model[name], value) for name, value in source["model"].items())
    updates = [x["update"] for x in read_lines(tmp_path / "tuned" / METRICS) if "loss" in x]
    assert updates == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"train.seed": 4}, "config.train.seed"),
        ({"train.batch_rows": 4}, "config.train.batch_rows"),
        ({"train.optimizer.name": "SGD"}, "config.train.optimizer.name"),
        ({"train.updates": 3}, "config.train.updates"),
    ],
)
def test_what_a_branch_cannot_change_is_refused_by_name(tmp_path, change, named):
    go(tmp_path / "full")
    with pytest.raises(TrainingError) as caught:
        go(tmp_path / "branch", origin=at(tmp_path / "full", 6), **change)
    assert caught.value.code == "BRANCH_CONFIG" and named in str(caught.value)


def test_weights_of_another_shape_are_refused(tmp_path):
    class Wider(ToyRecipe):
        def build_model(self, config, inputs):
            return torch.nn.Linear(inputs["width"], inputs["width"])

    go(tmp_path / "full")
    for reset in (False, True):
        with pytest.raises(TrainingError) as caught:
            go(tmp_path / str(reset), origin=at(tmp_path / "full", 6, reset_progress=reset), recipe=Wider())
        assert caught.value.code == "BRANCH_WEIGHTS"


def test_the_origins_facts_do_not_depend_on_clocks_or_places(tmp_path):
    facts = [go(tmp_path / name) and at(tmp_path / name, 6).facts() for name in ("a", "b")]
    assert facts[0] == facts[1] != dataclasses.replace(at(tmp_path / "a", 6), reset_progress=True).facts()


def test_the_rows_digest_tells_order_and_batches_apart():
    keys = np.arange(6, dtype=np.uint64)

    def chain(*batches):
        digest = OrderDigest()
        for batch in batches:
            digest.add(batch)
        return digest.hex()

    assert chain(keys[:3], keys[3:]) == chain(keys[:3], keys[3:])
    different = {chain(keys), chain(keys[:3], keys[3:]), chain(keys[3:], keys[:3]), chain(keys[:2], keys[2:])}
    assert len(different) == 4
    resumed = OrderDigest(chain(keys[:3]))
    resumed.add(keys[3:])
    assert resumed.hex() == chain(keys[:3], keys[3:])


def test_the_rows_digest_is_the_chain_however_many_batches_lie_between_two_looks():
    """Links are made several at once; a batch that changes after it was added stays what it was."""
    batches, chain, digest = np.arange(600, dtype=np.uint64).reshape(200, 3), bytes(32), OrderDigest()
    for at, keys in enumerate(batches, 1):
        chain = hashlib.sha256(chain + keys.astype("<u8").tobytes()).digest()
        given = keys.copy()
        digest.add(given)
        given[:] = 0
        if at in (1, 63, 64, 65, 130, 200):
            assert digest.hex() == chain.hex()


def test_epochs_are_pinned_before_a_row_is_withdrawn():
    from training.config import pin_length

    pinned = pin_length(with_overrides(toy_config(), {"train.epochs": 2.5}), 20)
    assert pinned.train.updates == 13 and pinned.train.epochs is None  # 2.5 * 20 / 4, rounded up
    assert pin_length(pinned, 19) == pinned
