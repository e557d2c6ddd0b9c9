"""The whole tree, re-hashed: what is intact is said to be, and of what is not the right node is named."""

import random

import pytest

from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_tree
from tests.assets_data.lineage.injected import FAULTS, injected
from tests.assets_data.lineage.mini_chain import (
    MiniConfig,
    json_stage,
    make_chain,
    make_checkpoint,
    make_manifest,
    make_preflight,
    make_report,
)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("seed", range(2))
def test_a_single_fault_is_found_and_the_right_node_named(store, kind, seed):
    root = make_chain(store)["toy/gate_report"].id
    with injected(store, root, kind, random.Random(seed)) as broken:
        explanation = explain(store, root)
        assert explanation.broken is not None and explanation.broken.id == broken
        assert explanation.broken.fault.code
    assert explain(store, root).broken is None


def test_an_intact_tree_names_every_node_once_parents_first(store):
    chain = make_chain(store)
    explanation = explain(store, chain["toy/gate_report"].id)
    order = list(explanation.nodes)
    assert explanation.broken is None and sorted(order) == sorted({snapshot.id for snapshot in chain.values()})
    assert all(order.index(parent) < order.index(key) for key in order for parent in explanation.nodes[key].parents)
    assert explanation.hashed_bytes == sum(node.snapshot.bytes for node in explanation.nodes.values())


def test_of_two_faults_the_one_nearer_the_sources_is_named(store):
    chain = make_chain(store)
    for name in ("toy/checkpoint", "text/tokenizer"):
        (next(chain[name].path.glob("*.json"))).write_bytes(b"{}")
    assert explain(store, chain["toy/gate_report"].id).broken.id == chain["text/tokenizer"].id


def test_a_checkpoint_whose_preflight_read_another_manifest_is_a_stale_read(store):
    chain = make_chain(store)
    triples = [chain["text/triples/a"], chain["text/triples/b"]]
    other = make_manifest(store, triples[:1], chain["text/tokenizer"], chain["text/walk_corpus"])
    preflight = make_preflight(store, other, MiniConfig(salt=3))
    checkpoint = make_checkpoint(store, chain["text/dataset_manifest"], preflight, triples[:1])
    report = make_report(store, chain["text/dataset_manifest"], preflight, checkpoint)
    broken = explain(store, report.id).broken
    assert broken.id == checkpoint.id and broken.fault.code == "LINEAGE_STALE_READ"


def test_of_two_receipts_for_the_same_content_the_loss_of_one_is_found(store):
    """Its stage record still names it: a history cut short, though another receipt tells the rest."""
    chain = make_chain(store)
    tokenizer, said = chain["text/tokenizer"], chain["text/tokenizer"].read_json("learned.json")
    other = json_stage(store, "text/tokenizer", {"raw_slice": []}, MiniConfig(salt=9), "learned.json", said)
    assert other.id == tokenizer.id and len(store.receipts(tokenizer.id)) == 2
    other.receipt.unlink()
    broken = explain(store, chain["toy/checkpoint"].id).broken
    assert broken.id == tokenizer.id and broken.fault.code == "RECEIPT_LOST"


def test_a_tree_in_which_everybody_reads_everybody_is_walked_once(store):
    chain = make_chain(store, {f"s{i}": [f"text {i} {j}" for j in range(4)] for i in range(12)})
    nodes = load_tree(store, [chain["toy/gate_report"].id])
    assert len(nodes) == len({snapshot.id for snapshot in chain.values()})
