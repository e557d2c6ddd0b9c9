"""The whole tree, re-hashed: what is intact is said to be, and of what is not the right node is named."""

import functools
import itertools
import random
from collections import Counter

import pytest

from assets_data.lineage.identity.tables import TableFile
from assets_data.lineage.queries import hashing
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.record_lookup import RecordLookup
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts import reader
from assets_data.lineage.storage import verified
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


def test_a_receipt_is_parsed_once_however_many_there_are(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)  # as if all files had come to rest
    root = make_chain(store)["toy/gate_report"].id
    parsed, parse = Counter(), reader.parse_bytes
    monkeypatch.setattr(reader, "_kept", functools.lru_cache(maxsize=2)(reader._kept.__wrapped__))  # of thousands
    monkeypatch.setattr(reader, "parse_bytes", lambda raw, path: parsed.update([path]) or parse(raw, path))
    explanation = explain(store, root)
    receipts = [receipt.path for node in explanation.nodes.values() for receipt in node.receipts]
    assert explanation.broken is None and parsed == Counter(receipts)


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


def test_a_table_of_few_records_is_opened_once_however_much_stands_on_it(store, monkeypatch):
    """Its values are hashed, and its records looked up in its parents and by its children."""
    chain, opened, begin = make_chain(store), Counter(), TableFile.__init__

    def counted(table, path):
        opened[path] += 1
        begin(table, path)

    monkeypatch.setattr(TableFile, "__init__", counted)
    assert explain(store, chain["toy/gate_report"].id).broken is None
    assert len(opened) > 3 and set(opened.values()) == {1}


@pytest.mark.parametrize("size", [1, 300, 1 << 22])
def test_small_files_are_hashed_together_and_large_ones_alone(store, monkeypatch, size):
    monkeypatch.setattr(hashing, "TASK_BYTES", size)
    nodes = load_tree(store, [make_chain(store)["toy/gate_report"].id])
    tasks = list(hashing.tasks(nodes.values(), RecordLookup()))
    read = [[job.bytes for job in task if job.bytes] for task in tasks]
    assert all(len(task) == 1 or sum(task) <= size for task in read)
    assert all(sum(one) + sum(two[:1]) > size for one, two in itertools.pairwise(read))
    assert sum(job.counted for task in tasks for job in task) == sum(node.snapshot.bytes for node in nodes.values())
    assert list(dict.fromkeys(job.node.id for task in tasks for job in task)) == list(nodes)
