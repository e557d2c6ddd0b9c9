"""Receipts against evidence: forged so that every digest fits, they still contradict what content and parents say."""

import hashlib
import json
import shutil

import pyarrow as pa
import pytest

from assets_data.lineage import IntegrityError, Store, canonical_json, digest_file
from assets_data.lineage.queries.evidence import binding, check_evidence
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.queries.tree import load_tree
from pipeline_defs.answers.nodes import verify_node
from tests.assets_data.lineage.forged import as_of_schema, dependencies, forge
from tests.assets_data.lineage.mini_chain import (
    MODULE,
    MiniConfig,
    json_stage,
    make_chain,
    make_corpus,
    make_manifest,
    make_raw,
    make_tokenizer,
    make_triples,
    record_id,
    texts,
)


@pytest.fixture(autouse=True)
def default_root(store, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(store.root.parent))


@pytest.fixture
def data(store):
    """``(raw slices, tokenizer, triples, manifest)``; nothing was made from the manifest."""
    raw = [make_raw(store, name, texts(name)) for name in ("a", "b")]
    tokenizer = make_tokenizer(store, raw)
    triples = [make_triples(store, one, tokenizer) for one in raw]
    return raw, tokenizer, triples, make_manifest(store, triples, tokenizer, make_corpus(store, triples, tokenizer))


def entry(predicate, key):
    return next(e for e in dependencies(predicate) if e["digest"].get("sha256") == key.removeprefix("sha256:"))


def without(key):
    return lambda predicate: dependencies(predicate).remove(entry(predicate, key))


def fault(store, key):
    """What ``explain`` says of a node, which ``verify`` must find too."""
    node = explain(store, key).nodes[f"sha256:{key.removeprefix('sha256:')}"]
    report = verify_node(key)
    assert report["ok"] == (node.fault is None), (report["error"], node.fault)
    return node.fault.code if node.fault else None


def test_a_forgery_that_contradicts_nothing_is_not_found_without_a_signature(store, data):
    """So that every test below shows the contradiction, not the forgery."""
    manifest = data[3]
    forge(store, manifest, lambda p: p["runDetails"]["metadata"].update(startedOn="2001-01-01T00:00:00.000Z"))
    assert fault(store, manifest.id) is None


def test_a_parent_that_a_manifest_names_cannot_be_left_out(store, data):
    _, tokenizer, triples, manifest = data
    for parent in (triples[1], tokenizer):
        copy = Store(store.root.with_name(f"copy-{parent.kind[5:]}"))
        shutil.copytree(store.root, copy.root)
        forge(copy, copy.opened(manifest.id), without(parent.id))
        with pytest.raises(IntegrityError) as error:
            check_evidence(copy, load_tree(copy, [manifest.id])[manifest.id], load_tree(copy, [manifest.id]))
        assert error.value.code == "RECEIPT_PARENT" and error.value.found == parent.id


def test_a_manifest_that_names_what_its_parents_read_is_told_why_and_what_to_do(store, data):
    """As manifests of episodes did at first: an ancestor among the members, which is no parent."""
    slices, tokenizer, triples, _ = data
    members = {"members": [*(s.id for s in triples), *(s.id for s in slices)]}
    parents = {"triples": triples, "tokenizer": tokenizer}
    manifest = json_stage(store, "text/dataset_manifest", parents, MiniConfig(), "manifest.json", members)
    fault = explain(store, manifest.id).broken.fault
    assert fault.code == "RECEIPT_PARENT" and "text/raw_slice as a member" in str(fault)
    assert "materialise text/dataset_manifest" in str(fault)


def test_a_table_whose_records_are_those_of_another_slice_than_its_receipt_says(store, data):
    raw, tokenizer, _, _ = data
    triples = make_triples(store, raw[0], tokenizer, MiniConfig(salt=5))
    forge(store, triples, lambda p: entry(p, raw[0].id)["digest"].update(sha256=raw[1].id[7:]))
    assert fault(store, triples.id) == "RECEIPT_LOST"  # the receipts that it says the other slice had
    other = store.receipts(raw[1].id)[0].stem
    forge(store, triples, lambda p: entry(p, raw[1].id).update(annotations={"receipts": [other]}))
    assert fault(store, triples.id) == "RECEIPT_RECORDS"


def test_one_record_of_another_slice_is_enough_in_any_column_that_names_records(store, data):
    raw = data[0]
    mine, foreign = [record_id(text) for text in texts("a")], record_id(texts("b")[0])
    table = pa.table({"record_id_window": mine, "record_id_variant": [*mine[:-1], foreign]})

    def build(writer):
        writer.write_table("rows.arrow", table)

    assert fault(store, make_pairs(store, raw, build).id) is None
    other = Store(store.root.with_name("other"))
    pairs = make_pairs(other, [make_raw(other, "a", texts("a"))], build)
    broken = explain(other, pairs.id).broken
    assert broken.id == pairs.id and broken.fault.code == "RECEIPT_RECORDS" and broken.fault.found == foreign


def make_pairs(store, raw, build):
    return store.run_stage(name="toy/pairs", module=MODULE, config=MiniConfig(), parents={"raw": raw}, build=build)


def test_a_parents_kind_cannot_be_lied_about(store, data):
    _, _, triples, manifest = data
    forge(store, manifest, lambda p: entry(p, triples[0].id).update(name="triples=text/mix"))
    assert fault(store, manifest.id) == "RECEIPT_KIND"


def test_a_parent_cannot_be_hidden_as_a_file_from_outside(store, data):
    raw, tokenizer, _, _ = data
    triples = make_triples(store, raw[0], tokenizer, MiniConfig(salt=5))

    def hide(predicate):
        hidden = entry(predicate, tokenizer.id)
        hidden.pop("annotations")
        hidden |= {"name": f"source={tokenizer.kind}", "uri": "https://corpus.example/tokenizer"}

    forge(store, triples, hide)
    assert fault(store, triples.id) == "RECEIPT_SOURCE"


def test_a_source_that_is_gone_from_the_store_but_has_receipts_is_still_a_snapshot(store, data):
    raw, tokenizer, _, _ = data
    triples = make_triples(store, raw[0], tokenizer, MiniConfig(salt=5))
    forge(
        store,
        triples,
        lambda p: dependencies(p).insert(
            2, {"name": "source=x", "digest": {"sha256": data[3].id[7:]}, "uri": "https://corpus.example/x"}
        ),
    )
    shutil.rmtree(store.snapshot_path(data[3].id))
    assert explain(store, triples.id).broken.fault.code == "RECEIPT_SOURCE"


@pytest.mark.parametrize("own", [True, False], ids=["itself", "by way of a child"])
def test_a_node_that_is_its_own_ancestor_is_refused(store, data, own):
    raw, _, triples, _ = data
    key = raw[0].id if own else triples[0].id

    def circle(predicate):
        named = {"name": f"x={'text/raw_slice' if own else 'text/triples'}", "digest": {"sha256": key[7:]}}
        dependencies(predicate).insert(0, {**named, "annotations": {"receipts": []}})

    forge(store, raw[0], circle)
    tree = explain(store, triples[0].id)
    assert "LINEAGE_CYCLE" in {node.fault.code for node in tree.nodes.values() if node.fault}
    assert not verify_node(raw[0].id)["ok"] and not verify_node(triples[0].id)["ok"]


def test_a_receipt_below_that_was_rewritten_is_missed_by_what_was_made_from_it(store, data):
    _, tokenizer, _, manifest = data
    forge(store, tokenizer, lambda p: p["runDetails"]["metadata"].update(startedOn="2001-01-01T00:00:00.000Z"))
    broken = explain(store, manifest.id).broken
    assert broken.id == tokenizer.id and broken.fault.code == "RECEIPT_LOST"
    assert "RECEIPT_LOST" in verify_node(tokenizer.id)["error"]


def test_a_receipt_that_nothing_names_is_shown_as_extra_and_is_no_fault(store, data):
    manifest = data[3]
    (path,) = store.receipts(manifest.id)
    document = json.loads(path.read_bytes())
    document["predicate"]["runDetails"]["metadata"]["finishedOn"] = "2099-01-01T00:00:00.000Z"
    data_ = canonical_json(document)
    extra = hashlib.sha256(data_).hexdigest()
    path.with_name(f"{extra}.json").write_bytes(data_)
    node = explain(store, manifest.id).nodes[manifest.id]
    assert node.fault is None and node.extra == {extra}
    report = verify_node(manifest.id)
    assert report["ok"] and report["extra"] == [extra]
    assert sum("EXTRA" in line for line in report["checked"]) == 1


def test_files_that_were_broken_and_made_again_are_bound_by_the_new_receipt_alone(store):
    """The old one stays, since what was made before names it, and the new one says that its files are gone."""
    chain = make_chain(store)
    tokenizer = chain["text/tokenizer"]
    (tokenizer.path / "learned.json").write_bytes(b"{}")
    again = make_tokenizer(store, [chain["text/raw_slice/a"], chain["text/raw_slice/b"]])
    assert again.id == tokenizer.id and not again.reused and len(store.receipts(again.id)) == 2
    tree = explain(store, chain["toy/gate_report"].id)
    assert tree.broken is None and not tree.nodes[again.id].extra
    assert verify_node(again.id)["ok"]


def test_a_receipt_written_before_a_crash_took_the_directory_is_outdated_by_the_next(store):
    raw = make_raw(store, "a", texts("a"))
    shutil.rmtree(raw.path)
    shutil.rmtree(store.root / "stages")
    again = make_raw(store, "a", texts("a"))
    assert again.id == raw.id and verify_node(again.id)["ok"] and explain(store, again.id).broken is None


@pytest.mark.parametrize("schema", [1, 2])
def test_older_receipts_still_verify_and_are_said_to_bind_less(store, schema):
    chain = make_chain(store)
    as_of_schema(store, schema)
    checkpoint, root = chain["toy/checkpoint"], chain["toy/gate_report"].id
    assert explain(store, root).broken is None
    report = verify_node(root)
    assert report["ok"] and report["bound"]["schema"] == schema and "not bound" in report["bound"]["by"]
    config = checkpoint.path / "config.json"
    config.write_bytes(b'{"salt": 99}\n')
    listed = json.loads((checkpoint.path / "snapshot.json").read_bytes())
    listed["files"]["config.json"] |= {"bytes": config.stat().st_size, "sha256": digest_file(config)}
    (checkpoint.path / "snapshot.json").write_bytes(canonical_json(listed) + b"\n")
    assert explain(store, root).broken is None  # which is what the level says


def test_a_new_receipt_about_what_an_older_version_published_binds_its_files(store):
    raw = make_raw(store, "a", texts("a"))
    as_of_schema(store, 2)
    shutil.rmtree(store.root / "stages")
    again = make_raw(store, "a", texts("a"))
    assert again.id == raw.id and len(store.receipts(raw.id)) == 2
    assert binding(load_tree(store, [raw.id])[raw.id])[0] == 3 and verify_node(raw.id)["bound"]["schema"] == 3


def test_what_a_reader_opens_is_what_a_receipt_names(store):
    """Not only ``verify``: no reader takes a sidecar that was edited and listed again."""
    chain = make_chain(store)
    checkpoint = chain["toy/checkpoint"]
    config = checkpoint.path / "config.json"
    config.write_bytes(b'{"salt":99}\n')
    listed = json.loads((checkpoint.path / "snapshot.json").read_bytes())
    listed["files"]["config.json"] |= {"bytes": config.stat().st_size, "sha256": digest_file(config)}
    (checkpoint.path / "snapshot.json").write_bytes(canonical_json(listed) + b"\n")
    for read in (store.opened, store.snapshot):
        with pytest.raises(IntegrityError) as error:
            read(checkpoint.id)
        assert error.value.code == "RECEIPT_FILES"


def test_a_node_is_checked_without_going_over_all_others(store):
    """Else a tree costs the square of its nodes."""

    class OnlyAsked(dict):
        def __iter__(self):
            raise AssertionError("went over all nodes")

        keys = values = items = __iter__

    nodes = load_tree(store, [make_chain(store)["toy/gate_report"].id])
    for node in nodes.values():
        check_evidence(store, node, OnlyAsked(nodes))
