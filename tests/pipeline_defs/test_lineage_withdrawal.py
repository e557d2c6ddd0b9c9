"""A withdrawal's plan against what really changes when the chain is made without the records."""

import itertools
import json
import subprocess
import sys

import pytest

from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.lineage import StemmaError, Store
from assets_data.lineage.queries.tree import load_node, newest
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage.redaction import redact
from pipeline_defs.answers.trained import TrainedRows
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.plan import KEEP, REBUILD, make_plan
from pipeline_defs.commands.cli import main
from pipeline_defs.locks import ROOT_LOCK, hold
from tests.assets_data.domains.text.corpora import TEXT, chain_of
from tests.assets_data.lineage.mini_chain import MODULE, make_chain, make_corpus, make_raw, record_id, texts
from tests.chain import environment
from tests.pipeline_defs.text_chain import make_raw as make_text_slice

ALL = {name: texts(name) for name in ("a", "b")}
WITHDRAWALS = [(text,) for text in texts("a")] + list(itertools.combinations(texts("a")[:3] + texts("b")[:2], 2))


def without(withdrawn):
    return {name: [text for text in records if text not in withdrawn] for name, records in ALL.items()}


@pytest.mark.parametrize("withdrawn", WITHDRAWALS, ids=str)
def test_the_rebuild_plan_misses_no_node_and_names_none_that_stays_the_same(tmp_path, withdrawn):
    store = Store(tmp_path / "with")
    before = make_chain(store, ALL)
    after = make_chain(Store(tmp_path / "without"), without(withdrawn))
    plan = make_plan(store, {bytes.fromhex(record_id(text)) for text in withdrawn}, REBUILD)
    changed = {name for name in before if before[name].id != after[name].id}
    weights_kept = {n for n in set(plan.remake) - changed if n in ("toy/checkpoint", "toy/gate_report")}
    assert changed <= set(plan.remake)
    assert set(plan.remake) - changed == weights_kept  # rows a run never reached: same weights, made from other data


def test_keeping_the_learners_leaves_them_and_what_only_stands_on_them(tmp_path):
    store = Store(tmp_path)
    chain = make_chain(store, ALL)
    record = chain["text/triples/a"].table("train.arrow")["record_id"][0].as_py()
    plan = make_plan(store, {bytes.fromhex(record)}, KEEP)
    assert set(plan.remake) == {
        "text/raw_slice/a",
        "text/triples/a",
        "text/dataset_manifest",
        "toy/preflight_report",
        "toy/checkpoint",
        "toy/gate_report",
    }
    assert {
        plan.reach.effects[key].node.kind for key in plan.reach.effects if plan.reach.effects[key].how == "learned"
    } == {
        "text/tokenizer",
        "text/walk_corpus",
    }


def test_the_first_step_of_the_plan_is_the_first_that_took_any_of_the_records(tmp_path):
    store = Store(tmp_path)
    chain = make_chain(store, ALL)
    trained = TrainedRows(store, chain["toy/checkpoint"])
    records = [bytes.fromhex(record_id(text)) for text in texts("a")]
    used = {record: trained.uses(record) for record in records}
    for pair in itertools.combinations([record for record in records if used[record]], 2):
        restart = make_plan(store, set(pair), KEEP).restarts["toy/checkpoint"]
        assert restart["first_step"] == min(used[pair[0]][0], used[pair[1]][0])
        assert restart["clean_step"] < restart["first_step"]


@pytest.mark.parametrize(("patience", "split", "clean"), [(0, "validation", 12), (3, "validation", 0), (3, "train", 4)])
def test_a_run_that_might_have_ended_early_does_not_go_on_without_a_record_it_watched(tmp_path, patience, split, clean):
    store = Store(tmp_path)
    chain = make_chain(store, ALL, patience)
    for step in (4, 12):
        (store.run_dir("toy-run") / "checkpoints" / f"{step:08}").mkdir(parents=True)
        (store.run_dir("toy-run") / "checkpoints" / f"{step:08}" / "state.json").write_text('{"files":{}}')
    trained = TrainedRows(store, chain["toy/checkpoint"])
    splits = chain["text/triples/a"].table("records.parquet").to_pylist()
    records = [bytes.fromhex(row["record_id"]) for row in splits if row["split"] == split]
    late = [record for record in records if split != "train" or min(trained.uses(record), default=0) > 4]
    restart = make_plan(store, {late[0]}, KEEP).restarts["toy/checkpoint"]
    assert restart["clean_step"] == clean and restart["says"].count("beginning") == (clean == 0)


def test_a_plan_changes_nothing_and_an_unknown_record_is_answered_no(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    store = Store(tmp_path / "store")
    make_chain(store, ALL)
    before = sorted(path for path in store.root.rglob("*"))
    assert main(["withdraw", record_id(texts("a")[0])]) == 0
    assert main(["withdraw", "ab" * 32]) == 1
    assert sorted(path for path in store.root.rglob("*")) == before
    assert "nothing in this store" in capsys.readouterr().out


def test_applying_waits_for_whoever_moves_names_and_plans_what_stands_there_then(tmp_path):
    """Planned before the wait, it would make again a slice that does not hold the record any more."""
    store, record = Store(tmp_path / "store"), record_id(texts("a")[0])
    raw = make_raw(store, "a", texts("a"))
    store.point("text/raw_slice/a", raw)
    with hold(tmp_path / ROOT_LOCK, "stemma run"):
        command = [sys.executable, "-m", "pipeline_defs.commands.cli", "withdraw", record, "--apply", "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        withdrawing = subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), text=True, **pipes)
        assert "waiting: stemma run" in withdrawing.stderr.readline()
        without = redact(store, raw, newest(load_node(store, raw.id)), {bytes.fromhex(record)}, (MODULE,))
        store.point("text/raw_slice/a", without)
    said, _ = withdrawing.communicate(timeout=120)
    answer = json.loads(said)
    assert withdrawing.returncode == 0 and answer["affected"] and answer["remake"] == {} and "applied" not in answer
    assert store.pointed("text/raw_slice/a").id == without.id


@pytest.mark.parametrize("command", ["uses", "withdraw"])
def test_where_the_holder_cannot_be_read_the_answer_is_not_no(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    raw = make_raw(Store(tmp_path / "store"), "a", texts("a"))
    (raw.path / "snapshot.json").write_text("{")
    assert main([command, record_id(texts("a")[0])]) == 1
    said = capsys.readouterr().out
    assert (
        "UNKNOWN" in said and raw.id.removeprefix("sha256:")[:12] in said and "nothing in this store holds" not in said
    )


def test_a_withdrawal_that_leaves_no_data_is_refused_with_nothing_marked_and_no_name_moved(tmp_path):
    """All records of the only slice: what stands above it cannot be made without them."""
    store, only = (
        Store(tmp_path / "store"),
        [f"one story of number {n}, of rivers, bridges and mills" for n in range(12)],
    )
    raw = make_text_slice(store, tmp_path / "in", only, ())
    chain = chain_of(store, {"files-0": raw}, TEXT)
    nodes = {"text/raw_slice/files-0": raw, "text/tokenizer": chain.tokenizer}
    nodes["text/dataset_manifest"] = make_dataset_manifest(store, chain.triples, chain.tokenizer)
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    every = {bytes.fromhex(one) for one in raw.table("records.parquet")["record_id"].to_pylist()}
    with pytest.raises(StemmaError):
        apply_plan(store, make_plan(store, every, REBUILD))
    assert not len(store.withdrawn) and not list((store.root / "withdrawals").glob("*"))
    assert {name: store.pointed(name).id for name in nodes} == {name: one.id for name, one in nodes.items()}


def test_what_was_redacted_is_not_reached_any_more_and_holds_the_rest(tmp_path):
    store = Store(tmp_path)
    raw = make_raw(store, "a", texts("a"))
    gone, kept = (bytes.fromhex(record_id(text)) for text in texts("a")[:2])
    receipt = newest(load_node(store, raw.id))
    redacted = redact(store, raw, receipt, {gone}, (MODULE,))
    assert redacted.kind == raw.kind and redacted.content["records"]["count"] == len(texts("a")) - 1
    assert redacted.content["records"] == make_raw(store, "b", texts("a")[1:]).content["records"]
    store.point("text/raw_slice/a", redacted)
    assert make_plan(store, {gone}, KEEP).remake == {}
    assert make_plan(store, {kept}, KEEP).remake == {"text/raw_slice/a": redacted.id}
    everything = {bytes.fromhex(record_id(text)) for text in texts("a")}
    assert redact(store, raw, receipt, everything, (MODULE,)).content["records"]["count"] == 0


def test_a_learner_that_never_read_the_record_still_stands_on_one_that_learned_from_it(tmp_path):
    store = Store(tmp_path)
    chain = make_chain(store, ALL)
    store.point("text/walk_corpus", make_corpus(store, [chain["text/triples/b"]], chain["text/tokenizer"]))
    record = bytes.fromhex(chain["text/triples/a"].table("train.arrow")["record_id"][0].as_py())
    assert "text/walk_corpus" in make_plan(store, {record}, REBUILD).remake
    assert "text/walk_corpus" not in make_plan(store, {record}, KEEP).remake
