"""The whole tree, re-hashed: what is intact is said to be, and of what is not the right node is named."""

import dataclasses
import functools
import random
import threading
from collections import Counter, defaultdict

import pyarrow as pa
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

    def counted(table, path, *data):
        opened[path] += 1
        begin(table, path, *data)

    monkeypatch.setattr(TableFile, "__init__", counted)
    assert explain(store, chain["toy/gate_report"].id).broken is None
    assert len(opened) > 3 and set(opened.values()) == {1}


@pytest.mark.parametrize("together", [1, 1 << 20])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_large_files_are_hashed_by_other_threads_and_small_ones_are_not(store, monkeypatch, place, together):
    nodes = load_tree(store, [make_chain(store)["toy/gate_report"].id])
    size = sorted(entry["bytes"] for node in nodes.values() for entry in node.snapshot.files.values())[place]
    threads, check = defaultdict(set), hashing._raised
    monkeypatch.setattr(hashing, "SMALL", together)  # from here on a part is read twice, and counts once

    def watched(job_check):
        threads[threading.current_thread() is threading.main_thread()].add(job_check)
        return check(job_check)

    monkeypatch.setattr(hashing, "THREADED", size)
    monkeypatch.setattr(hashing, "_raised", watched)
    told = []
    hashed = hashing.hash_all(nodes, RecordLookup(), told.append)
    assert hashed == sum(told) == sum(node.snapshot.bytes for node in nodes.values())
    jobs = [job for node in nodes.values() for job in hashing._jobs(node, RecordLookup())]
    assert len(threads[False]) == sum(job.bytes >= size for job in jobs)
    assert len(threads[True]) == sum(job.bytes < size for job in jobs)


@pytest.mark.parametrize("size", [1, 40_000, 1 << 22])
def test_of_two_broken_files_the_first_is_named_whichever_thread_is_first(store, monkeypatch, size):
    def build(writer):
        writer.part("a.bin").write_bytes(b"a" * 50_000)
        writer.part("b.bin").write_bytes(b"b")
        writer.part("c.bin").write_bytes(b"c" * 50_000)

    made = store.run_stage(
        name="test/three", module="assets_data.lineage.storage.store", config={}, parents={}, build=build
    )
    for name in ("a.bin", "b.bin", "c.bin"):
        made.file(name).write_bytes(b"x" * made.files[name]["bytes"])
    monkeypatch.setattr(hashing, "THREADED", size)
    fault = explain(store, made.id).broken.fault
    assert (fault.code, fault.where.name) == ("SNAPSHOT_FILE_DIGEST", "a.bin")


def two_with_an_equal_table(store):
    """Two snapshots of other content, both with a table of the same bytes, and one that read both."""

    def build(writer, which):
        writer.write_table("none.parquet", pa.table({"record_id": pa.array([], pa.string())}))
        writer.write_json("which.json", which)

    module = "assets_data.lineage.storage.store"
    run = functools.partial(store.run_stage, module=module, config={})
    pair = [
        run(name="test/pair", parents={}, arguments={"which": which}, build=functools.partial(build, which=which))
        for which in ("one", "other")
    ]
    return pair, run(name="test/both", parents={"pair": pair}, build=lambda writer: writer.write_json("both.json", 2))


def test_what_equal_files_say_is_found_once(store, monkeypatch):
    pair, both = two_with_an_equal_table(store)
    opened, begin = [], TableFile.__init__
    monkeypatch.setattr(
        TableFile, "__init__", lambda table, path, *data: opened.append(path) or begin(table, path, *data)
    )
    assert pair[0].id != pair[1].id and explain(store, both.id).broken is None
    assert [path.name for path in opened] == ["none.parquet"]


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_that_is_no_longer_equal_to_its_like_is_found(store, place):
    pair, both = two_with_an_equal_table(store)
    path = pair[place].file("none.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    broken = explain(store, both.id).broken
    assert broken.id == pair[place].id and broken.fault.code == "SNAPSHOT_FILE_DIGEST"


@pytest.mark.parametrize("together", [1, 1 << 20])
def test_a_part_that_says_something_else_than_the_identity_is_found_although_a_like_file_was_read_before(
    store, monkeypatch, together
):
    monkeypatch.setattr(hashing, "SMALL", together)  # from here on a part's bytes and values are checked apart
    pair, both = two_with_an_equal_table(store)
    nodes = load_tree(store, [both.id])
    parts = {**pair[1].content["parts"], "none": {"columns": {}, "rows": 0}}
    nodes[pair[1].id].snapshot = dataclasses.replace(pair[1], content={**pair[1].content, "parts": parts})
    hashing.hash_all(nodes, RecordLookup(), lambda done: None)
    assert [node.id for node in nodes.values() if node.fault] == [pair[1].id]
    assert nodes[pair[1].id].fault.code == "SNAPSHOT_CONTENT"
