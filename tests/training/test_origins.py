"""What a training began from, told by its receipt: a parent; or, where the run would pass through it, no trace."""

import json
import shutil

import numpy as np
import pytest
import torch

from assets_data.lineage import Store
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.code import code_version
from assets_data.lineage.receipts.reader import read_receipt
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.toy import ToyData, ToyRecipe, toy_config, toy_data
from tests.training.walks import exact_walks, make_inputs, publish
from training.branch import Origin, same_run
from training.checkpoint import read_state, stored
from training.config import derived_seed
from training.job import Job
from training.loop import train
from training.metrics import read_lines
from training.order import Order
from training.recipe import discover
from training.run_directory import CHECKPOINTS, METRICS
from training.stages import load_model, make_checkpoint, make_preflight_report, training_code
from training.training_state import publish_state, remake_state

RECIPE = discover()["walk_lm"]
CONFIG = tiny(**{"train.checkpoint_every": 1, "train.keep_checkpoints": 20})


def trained(store, inputs, config=CONFIG, **began):
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    return make_checkpoint(store, RECIPE, inputs, preflight, **began)


def run_of(store, checkpoint):
    return store.root / "runs" / checkpoint.read_json("training.json")["run_id"]


def state_of(store, checkpoint, update):
    return run_of(store, checkpoint) / CHECKPOINTS / f"{update:08d}"


@pytest.fixture(scope="module")
def mother(tmp_path_factory):
    """A store with a finished training; tests that publish more copy it."""
    store = Store(tmp_path_factory.mktemp("mother"))
    return store, trained(store, make_inputs(store)).id


@pytest.fixture
def family(mother, tmp_path):
    """``(store, inputs, checkpoint)`` of it."""
    shutil.copytree(mother[0].root, tmp_path / "store")
    store = Store(tmp_path / "store")
    return store, make_inputs(store), store.snapshot(mother[1])


def began_from(checkpoint):
    (parent,) = [parent for parent in read_receipt(checkpoint.receipt).parents if parent.input == "origin"]
    return parent.kind, parent.id


def tree(store, snapshot):
    """Ids of it and all its ancestors; nothing of it is broken."""
    explanation = explain(store, snapshot.id)
    assert explanation.broken is None or explanation.broken.fault is None
    return set(explanation.nodes)


def test_a_published_checkpoint_gives_its_weights_and_is_a_parent(family):
    store, inputs, mother = family
    child = trained(store, inputs, tiny(**{"train.updates": 3}), origin=mother)
    assert began_from(child) == ("walk_lm/checkpoint", mother.id) and child.id != mother.id
    assert {mother.id} < tree(store, mother) < tree(store, child)
    facts = child.read_json("training.json")
    assert facts["origin"]["reset_progress"] is True and facts["taken_over"] == {} and facts["bit_exact"]
    assert facts["origin"]["checkpoint_id"] == mother.read_json("training.json")["checkpoint_id"]
    lines = [line for line in read_lines(child.file(METRICS)) if "loss" in line]
    assert [line["update"] for line in lines] == [1, 2, 3]
    assert lines[0]["loss"] == first_loss(store, inputs, load_model(RECIPE, mother))


def test_the_bundle_of_a_branch_holds_what_it_began_from_and_all_below_it(family):
    store, inputs, mother = family
    child = trained(store, inputs, tiny(**{"train.updates": 3}), origin=mother)
    nodes = load_tree(store, [child.id])
    bundled = {entry["id"]: entry for entry in make_bundle(nodes, child.id)["nodes"]}
    assert {child.id, mother.id, *(snapshot.id for snapshot in inputs.values())} <= set(bundled)
    assert "model.safetensors" in bundled[mother.id]["files"] and bundled[mother.id]["receipts"]


def first_loss(store, inputs, model):
    """Of the first batch, by a model as it is: what the first line says of a run that began from it."""
    config = tiny()
    data = RECIPE.open_data(store, inputs, config)
    order = Order(derived_seed(config.train.seed, "order"), data.row_keys, config.train.batch_rows)
    rows, epochs = order.batch(0)
    with torch.no_grad():
        return float(RECIPE.loss(model, config, RECIPE.batch(data, config, rows, epochs))["loss"])


def test_a_training_state_is_taken_over_whole_and_is_a_parent(family, caplog):
    store, inputs, mother = family
    state = publish_state(store, state_of(store, mother, 5))
    child = trained(store, inputs, tiny(**{"train.updates": 10}), origin=state)
    assert began_from(child) == ("walk_lm/training_state", state.id)
    assert {state.id, *(snapshot.id for snapshot in inputs.values())} < tree(store, state) < tree(store, child)
    facts = child.read_json("training.json")
    assert (facts["origin"]["update"], facts["origin"]["reset_progress"]) == (5, False) and facts["updates"] == 10
    assert "does not belong" not in caplog.text
    theirs, ours = ([x for x in read_lines(c.file(METRICS)) if "loss" in x] for c in (mother, child))
    assert ours[:5] == theirs[:5] and [line["update"] for line in ours] == list(range(1, 11))


def test_of_a_training_state_the_weights_alone_can_be_taken(family):
    store, inputs, mother = family
    state = publish_state(store, state_of(store, mother, 5))
    config = tiny(**{"train.updates": 3})
    child = trained(store, inputs, config, origin=state, reset_progress=True)
    assert began_from(child) == ("walk_lm/training_state", state.id)
    assert read_receipt(child.receipt).arguments["reset_progress"] is True
    assert child.read_json("training.json")["origin"]["reset_progress"] is True
    lines = [line for line in read_lines(child.file(METRICS)) if "loss" in line]
    assert [line["update"] for line in lines] == [1, 2, 3]
    model = RECIPE.build_model(config, {"vocab_size": 24})
    from safetensors.torch import load_file

    model.load_state_dict(load_file(state.file("model.safetensors")))
    assert lines[0]["loss"] == first_loss(store, inputs, model)


def test_the_state_of_a_branch_names_what_the_branch_began_from_and_is_remade_from_it(family, tmp_path):
    store, inputs, mother = family
    child = trained(store, inputs, tiny(**{"train.updates": 3, "train.checkpoint_every": 1}), origin=mother)
    state = publish_state(store, state_of(store, child, 2))
    assert began_from(state) == ("walk_lm/checkpoint", mother.id)
    assert mother.id in tree(store, state)
    elsewhere = Store(tmp_path / "elsewhere")
    again = make_inputs(elsewhere)
    preflight = make_preflight_report(
        elsewhere, RECIPE, again, tiny(**{"train.updates": 3, "train.checkpoint_every": 1})
    )
    job = Job(store=elsewhere, recipe=RECIPE, inputs=again, preflight=preflight)
    with_mother = remake_state(job, 2, origin=trained(elsewhere, again))
    assert with_mother.id == state.id != remake_state(job, 2).id


@pytest.mark.parametrize("update", [3, 8])
def test_a_state_made_again_elsewhere_has_its_id(family, tmp_path, update):
    store, _, mother = family
    state = publish_state(store, state_of(store, mother, update))
    elsewhere = Store(tmp_path / "elsewhere")
    inputs = make_inputs(elsewhere)
    preflight = make_preflight_report(elsewhere, RECIPE, inputs, CONFIG)
    job = Job(store=elsewhere, recipe=RECIPE, inputs=inputs, preflight=preflight)
    assert remake_state(job, update).id == state.id
    assert remake_state(job, update - 1).id == publish_state(store, state_of(store, mother, update - 1)).id != state.id


def test_an_earlier_state_is_remade_after_a_later_one_although_few_are_kept(family):
    """The later one's run would have let the earlier state go."""
    store, inputs, _ = family
    config = tiny(**{"train.checkpoint_every": 1, "train.keep_checkpoints": 1})
    job = Job(store=store, recipe=RECIPE, inputs=inputs, preflight=make_preflight_report(store, RECIPE, inputs, config))
    assert [remake_state(job, update).read_json("place.json")["update"] for update in (6, 2)] == [6, 2]


WALKS, HELD_OUT = exact_walks(60, 7), exact_walks(150, 1)


def late_walk(store):
    """The walk whose first use is latest, and that use."""
    data = RECIPE.open_data(store, publish(store, WALKS, HELD_OUT), CONFIG)
    order = Order(derived_seed(CONFIG.train.seed, "order"), data.row_keys, CONFIG.train.batch_rows)
    uses = [min(next(order.uses(3 * walk + chunk, 99), 99) for chunk in range(3)) for walk in range(len(WALKS))]
    inside = [use if use < CONFIG.train.updates else -1 for use in uses]
    return int(np.argmax(inside)), max(inside)


def test_a_state_that_the_run_passes_through_saves_updates_and_leaves_a_note_alone(store, tmp_path):
    walk, first_use = late_walk(store)
    assert first_use >= 3
    full = trained(store, publish(store, WALKS, HELD_OUT))
    left, scratch = np.delete(WALKS, walk, axis=0), Store(tmp_path / "scratch")
    made = []
    for target in (store, scratch):
        inputs = publish(target, left, HELD_OUT)
        preflight = make_preflight_report(target, RECIPE, inputs, CONFIG)
        state = None
        if target is store:
            job = Job(store=store, recipe=RECIPE, inputs=inputs, preflight=preflight)
            state = same_run(
                state_of(store, full, 8), RECIPE, job.config, job.data, code_version(*training_code(RECIPE))
            )
            assert state is not None and int(state.name) == first_use
        made.append(make_checkpoint(target, RECIPE, inputs, preflight, state=state))
    ours, theirs = made
    assert ours.id == theirs.id != full.id
    notes, builds = zip(*map(build_definition, made), strict=True)
    assert builds[0] == builds[1]
    facts = [checkpoint.read_json("training.json") for checkpoint in (ours, theirs)]
    assert facts[0]["run_id"] == facts[1]["run_id"] and [fact["origin"] for fact in facts] == [{}, {}]
    assert facts[0]["taken_over"]["update"] == first_use and facts[1]["taken_over"] == {}
    assert notes == (facts[0]["taken_over"], None)
    assert facts[0]["bit_exact"] and facts[0]["profile"]["updates"] == CONFIG.train.updates - first_use
    assert ours.file(METRICS).read_bytes() == theirs.file(METRICS).read_bytes()
    pairs = zip((store, scratch), made, strict=True)
    ends = [read_state(stored(run_of(target, checkpoint) / CHECKPOINTS)[-1]) for target, checkpoint in pairs]
    assert ends[0]["files"] == ends[1]["files"] and ends[0]["rows_digest"] == ends[1]["rows_digest"]
    assert ends[0]["fingerprint"] == ends[1]["fingerprint"]
    again = make_checkpoint(store, RECIPE, publish(store, left, HELD_OUT), preflight)
    assert again.reused and again.id == ours.id  # one identity, whether a state was given or not


def build_definition(checkpoint):
    """The note of the state that was taken over, and all else the receipt says: what was read, config, seeds."""
    build = json.loads(checkpoint.receipt.read_text())["predicate"]["buildDefinition"]
    note = build["externalParameters"]["arguments"].pop("taken_over", None)
    for parent in build["resolvedDependencies"]:
        parent.get("annotations", {}).pop("receipts", None)  # each store has its own, with their own times
    return note, build


@pytest.mark.parametrize("name", ["tokenizer", "encoder"])
def test_the_same_run_has_the_same_fixed_parents_whatever_rows_and_config_say(tmp_path, name):
    data = toy_data()
    data.members |= {name: "sha256:one", "graph": "sha256:g"}
    full = train(ToyRecipe(), toy_config(), data, tmp_path, code="c")
    assert same_run(full.final, ToyRecipe(), full.config, data, "c") == full.final
    other = ToyData(data.rows, members={**data.members, name: "sha256:another"}, validation=data.validation)
    assert (
        np.array_equal(other.row_keys, data.row_keys)
        and same_run(full.final, ToyRecipe(), full.config, other, "c") is None
    )
    less = ToyData(data.rows, members={"toy": "sha256:toy", "graph": "sha256:g"}, validation=data.validation)
    assert same_run(full.final, ToyRecipe(), full.config, less, "c") is None
    renamed = ToyData(data.rows, members={**data.members, "toy": "sha256:the rows elsewhere"})
    assert same_run(full.final, ToyRecipe(), full.config, renamed, "c") == full.final


@pytest.mark.parametrize("reset", [False, True])
def test_the_states_of_a_run_that_began_elsewhere_are_no_run_from_scratch(tmp_path, reset):
    """Same config, same data: only the weights it began from, or the updates before, are another run's."""
    often = {"train.checkpoint_every": 1, "train.keep_checkpoints": 20}
    first = train(
        ToyRecipe(), toy_config(**often, **{"train.optimizer.lr": 5e-2}), toy_data(), tmp_path / "a", code="c"
    )
    origin = Origin(checkpoint=first.directory / CHECKPOINTS / "00000003", reset_progress=reset)
    config = toy_config(**often)
    branched = train(ToyRecipe(), config, toy_data(), tmp_path / "b", code="c", origin=origin)
    assert same_run(branched.final, ToyRecipe(), config, toy_data(), "c") is None
    scratch = train(ToyRecipe(), config, toy_data(), tmp_path / "c", code="c")
    assert read_state(scratch.final)["files"] != read_state(branched.final)["files"]


def test_a_fine_tuning_that_changes_nothing_is_its_own_parent_and_can_be_told(family):
    """Equal weights are one snapshot: its receipts then say both how it was trained and that it was begun from."""
    store, inputs, mother = family
    still = {"train.updates": 3, "train.optimizer.lr": 1e-30, "train.optimizer.weight_decay": 0.0}
    child = trained(store, inputs, tiny(**still), origin=mother)
    assert child.id == mother.id and began_from(child)[1] == mother.id
    assert mother.id in tree(store, child)
