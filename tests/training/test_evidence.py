"""Receipts of a training against what its preflight registered and what lies beside the weights."""

import shutil

import pytest

from assets_data.lineage import Store
from assets_data.lineage.queries.explain import explain
from tests.assets_data.lineage.forged import dependencies, forge
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import make_inputs
from training.evidence import contradictions
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["walk_lm"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("trained") / "store")
    inputs = make_inputs(store)
    preflight = make_preflight_report(store, RECIPE, inputs, tiny())
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    return store, preflight, checkpoint, make_gate_report(store, RECIPE, inputs, preflight, checkpoint), inputs


@pytest.fixture
def copied(trained, tmp_path):
    """``(store, {name: snapshot})`` to break; what was made from a node is taken away when it is forged."""
    shutil.copytree(trained[0].root, tmp_path / "store")
    store = Store(tmp_path / "store")
    names = ("preflight", "checkpoint", "report")
    return store, {name: store.opened(one.id) for name, one in zip(names, trained[1:4], strict=True)}, trained[4]


def fault(store, key):
    node = explain(store, key, evidence=[contradictions]).nodes[key]
    return node.fault.code if node.fault else None


def learning_rate(predicate):
    predicate["buildDefinition"]["externalParameters"]["config"]["train"]["optimizer"]["lr"] = 0.5


def another_seed(predicate):
    predicate["buildDefinition"]["internalParameters"]["seeds"]["order"] += 1


def without(kind):
    def change(predicate):
        read = dependencies(predicate)
        read[:] = [entry for entry in read if not entry["name"].endswith(f"={kind}")]

    return change


def test_what_is_as_it_was_made_contradicts_nothing(copied):
    store, nodes, _ = copied
    assert explain(store, nodes["report"].id, evidence=[contradictions]).broken is None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("checkpoint", learning_rate),
        ("report", learning_rate),
        ("checkpoint", another_seed),
        ("checkpoint", without("text/walk_corpus")),
        ("checkpoint", without("text/dataset_manifest")),
        ("report", without("text/walk_corpus")),
        ("preflight", without("text/walk_corpus")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_receipt_that_was_forged_to_say_another_thing_is_contradicted(copied, name, change):
    store, nodes, _ = copied
    order = ["preflight", "checkpoint", "report"]
    for later in order[order.index(name) + 1 :]:  # nothing was made from it, so nothing misses its receipt
        shutil.rmtree(nodes[later].path)
        shutil.rmtree(store.root / "receipts" / nodes[later].path.name)
    forge(store, nodes[name], change)
    assert fault(store, nodes[name].id) in ("RECEIPT_CONTRADICTED", "RECEIPT_PARENT")
