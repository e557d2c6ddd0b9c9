"""What a store keeps and why; what goes; and that nothing of a withdrawn record's text is left anywhere, unpacked."""

import contextlib
import gzip
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import time
from argparse import Namespace

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from assets_data.lineage import Store
from assets_data.lineage.identity.digests import digest_json
from assets_data.lineage.queries.tree import load_tree
from pipeline_defs.commands.gc import gc
from pipeline_defs.commands.generate import verdicts
from tests.chain import stemma

SLICE = "text/raw_slice/stdlib-0"


@pytest.fixture
def root(finished_chain, tmp_path, monkeypatch):
    shutil.copytree(finished_chain, tmp_path / "root")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "root"))
    settings = tmp_path / "root" / "dagster.yaml"  # the copy's own databases, not those it was copied from
    settings.write_text(settings.read_text().replace(str(finished_chain), str(tmp_path / "root")))
    return tmp_path / "root"


@pytest.fixture(scope="module")
def withdrawn(finished_chain, tmp_path_factory):
    """A root from which the first record of a slice was withdrawn, and what it said that no other record says."""
    root = tmp_path_factory.mktemp("withdrawn") / "root"
    shutil.copytree(finished_chain, root)
    settings = root / "dagster.yaml"
    settings.write_text(settings.read_text().replace(str(finished_chain), str(root)))
    table = Store(root / "store").pointed(SLICE).table("records.parquet")
    texts = table["text"].to_pylist()
    said = distinctive(texts[0], texts[1:])
    assert said, "the record says nothing that is its own"
    assert traces(root, said), "the search finds what is there"
    result = stemma(root, "withdraw", table["record_id"][0].as_py(), "--apply")
    assert result.returncode == 0 and "gc --withdrawn" in result.stdout, result.stdout + result.stderr
    return root, said


@pytest.fixture
def copied(withdrawn, tmp_path, monkeypatch):
    shutil.copytree(withdrawn[0], tmp_path / "root")
    settings = tmp_path / "root" / "dagster.yaml"
    settings.write_text(settings.read_text().replace(str(withdrawn[0]), str(tmp_path / "root")))
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "root"))
    return tmp_path / "root"


def letters(text):
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"[^0-9a-z]", "", re.sub(r"\\+[nrt]", " ", text.lower()))


def distinctive(text, others):
    """Stretches of 20 letters and digits of a text that none of the others says."""
    mine, theirs = letters(text), [letters(other) for other in others]
    cuts = {mine[at : at + 20] for at in range(0, len(mine) - 19, 5)}
    return {cut for cut in cuts if not any(cut in other for other in theirs)}


def traces(root, said):
    """Every file below a root that says one of these, by its bytes, as a database, a table or unpacked."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if not path.is_file():
            continue  # a database's journal, gone as we closed it
        text = letters("\n".join(readings(path)))
        if any(cut in text for cut in said):
            found.append(str(path.relative_to(root)))
    return found


def readings(path):
    raw = path.read_bytes()
    yield raw.decode("latin-1")
    if raw.startswith(b"SQLite format 3"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            for (name,) in database.execute("select name from sqlite_master where type='table'").fetchall():
                yield from (str(row) for row in database.execute(f"select * from {name}"))
    elif path.suffix == ".parquet":
        yield from (str(row) for row in pq.read_table(path).to_pylist())
    elif path.suffix == ".arrow":
        yield from (str(row) for row in pa.ipc.open_file(path).read_all().to_pylist())
    elif raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw).decode("latin-1")
    elif raw.startswith(b"\x28\xb5\x2f\xfd"):
        yield zstandard.ZstdDecompressor().stream_reader(raw).read().decode("latin-1")


def options(**changed):
    return Namespace(**{"apply": True, "withdrawn": False, "keep_days": 14.0, "json": True, **changed})


def age(root, days=30):
    """As if nothing had been made or used for so long."""
    then = time.time() - days * 86400
    for path in root.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


def faults(root):
    store = Store(root / "store")
    nodes = load_tree(store, [store.pointer(name)["snapshot"] for name in store.all_names()])
    for node in nodes.values():
        if node.snapshot:
            node.snapshot.verify(deep=True)
    return {node.kind: node.fault for node in nodes.values() if node.fault}


def unname(root, name):
    store = Store(root / "store")
    key = store.pointer(name)["snapshot"]
    (store.root / "pointers" / f"{name}.json").unlink()
    return key


def test_what_nothing_needs_goes_and_the_dry_run_said_so_and_why_the_rest_stays(root):
    assert stemma(root, "promote", "walk_lm").returncode == 0
    free = unname(root, "text/dataset_manifest"), unname(root, "walk_lm/gate_report")
    plan = json.loads(stemma(root, "gc", "--json").stdout)
    assert plan["goes"] == [] and "champion of walk_lm" in plan["stays"][free[1]]
    store = Store(root / "store")
    (store.root / "pointers/walk_lm/promoted_checkpoint.json").unlink()
    unname(root, "walk_lm/checkpoint")
    assert json.loads(stemma(root, "gc", "--json").stdout)["goes"] == [], "it was made lately"
    age(root)
    plan = json.loads(stemma(root, "gc", "--json").stdout)
    kinds = [entry["kind"] for entry in plan["goes"]]
    assert kinds == ["walk_lm/gate_report", "walk_lm/checkpoint"], "children first; the preflight has a name"
    assert len(plan["folders"]) == 1 and "runs/walk_lm-" in plan["folders"][0]
    assert all(store.snapshot_path(entry["id"]).is_dir() for entry in plan["goes"]), "a dry run removes nothing"
    receipts = sorted((store.root / "receipts").rglob("*.json"))
    done = gc(options()).document["applied"]
    assert set(done["snapshots"]) == {entry["id"] for entry in plan["goes"]} and done["finished"]
    assert all(digest_json(entry["content"]) == key for key, entry in done["snapshots"].items())
    assert not any(store.snapshot_path(key).exists() for key in done["snapshots"])
    assert sorted((store.root / "receipts").rglob("*.json")) == receipts and faults(root) == {}
    assert gc(options()).document["applied"] is None
    assert verdicts(store, "walk_lm", plan["goes"][1]["id"]) == []


def test_holds_proofs_and_signatures_keep_what_no_name_keeps(root, tmp_path):
    key, slice_key = unname(root, "walk_lm/gate_report"), unname(root, "text/drops/stdlib-1")
    age(root)
    assert json.loads(stemma(root, "hold", key, "--reason", "case 7", "--json").stdout)["snapshot"] == key
    plan = gc(options(apply=False)).document
    assert plan["goes"] == [] and "legal hold: case 7" in plan["stays"][key]
    assert "case 7" in stemma(root, "hold", "--list").stdout
    assert stemma(root, "release", key).returncode == 0 and stemma(root, "release", key).returncode == 1
    assert [entry["id"] for entry in gc(options(apply=False)).document["goes"]] == [key]
    store = Store(root / "store")
    note = {"snapshot": key, "record": "00" * 32, "file": "proof.json"}
    (store.root / "proofs").mkdir()
    (store.root / "proofs" / "note.json").write_text(json.dumps(note))
    stays = gc(options(apply=False)).document["stays"]
    assert "a proof about it was given out" in stays[key] and "descends from it" in stays[slice_key][0]


def test_afterwards_nothing_of_the_text_is_in_any_file_or_database(copied):
    root, said = copied, distinctive_of(copied)
    fetched = root / "store" / "fetch" / "0123" / "cache" / "part.jsonl.gz"  # as the HTTP source keeps a part
    fetched.parent.mkdir(parents=True)
    old = Store(root / "store").opened(marked(root, "text/raw_slice"))
    text = old.table("records.parquet")["text"][0].as_py()
    fetched.write_bytes(gzip.compress(json.dumps({"text": text}).encode()))
    shutil.copytree(old.path, root / "store" / "quarantine" / "abc")
    before = traces(root, said)
    assert any("dagster" in path for path in before) and any("snapshots" in path for path in before)
    answer = gc(options(withdrawn=True))
    assert answer.ok and traces(root, said) == []
    done = answer.document["applied"]
    assert done["left"] == [] and done["pieces"] == [] and done["runs"] and len(done["copies"]) >= 2
    (request,) = done["requests"]
    assert (root / "store" / "withdrawals" / f"{request}.json").is_file()
    proof = next(entry for entry in done["proofs"] if entry["snapshot"] == old.id)
    assert proof["receipts"] and proof["records"]["root"] == old.content["records"]["root"]
    assert faults(root) == {} and stemma(root, "verify", "walk_lm/checkpoint").returncode == 0
    explained = stemma(root, "explain", "walk_lm/checkpoint")
    assert explained.returncode == 0 and "deleted on purpose" in explained.stdout
    again = gc(options(withdrawn=True))
    assert again.ok and again.document == {"goes": [], "waits": {}, "applied": None}


def test_what_a_champion_or_a_hold_needs_waits_and_says_so(copied, finished_chain):
    store, old = Store(copied / "store"), marked(copied, "text/documents")
    stemma(copied, "hold", old, "--reason", "case 8")
    answer = gc(options(withdrawn=True, apply=False))
    assert not answer.ok and "legal hold: case 8" in answer.document["waits"][old]
    assert marked(copied, "text/raw_slice") in answer.document["waits"], "its ancestors wait with it"
    assert gc(options(withdrawn=True)).document["applied"]["snapshots"] and store.snapshot_path(old).is_dir()
    stemma(copied, "release", old)
    assert gc(options(withdrawn=True)).ok and not store.snapshot_path(old).exists()


def test_a_deletion_receipt_about_another_snapshot_is_a_fault(copied):
    gc(options(withdrawn=True))
    (path,) = (copied / "store" / "deletions").glob("*.json")
    document = json.loads(path.read_text())
    for entry in document["snapshots"].values():
        entry["content"]["kind"] = "text/other"
    path.write_text(json.dumps(document))
    explained = stemma(copied, "explain", "walk_lm/checkpoint")
    assert explained.returncode == 1 and "DELETION_CONTENT" in explained.stdout


@pytest.mark.parametrize("withdrawing", [True, False])
def test_killed_at_any_rename_the_store_verifies_and_a_second_gc_finishes(copied, withdrawing):
    said, moments = distinctive_of(copied), random.Random(7)
    if not withdrawing:
        unname(copied, "walk_lm/gate_report")
        unname(copied, "walk_lm/checkpoint")
        age(copied)
    moment, killed = 0, True
    while killed:
        killed = killed_at(moment, withdrawing)
        assert faults(copied) == {}
        moment += moments.randint(1, 3)
        assert moment < 60
    assert moment > 5 and list((copied / "store" / "trash").rglob("*")) == []
    documents = [json.loads(path.read_text()) for path in (copied / "store" / "deletions").glob("*.json")]
    assert documents and all(document["finished"] and not document.get("pieces") for document in documents)
    assert gc(options(withdrawn=withdrawing)).document["applied"] is None
    if withdrawing:
        assert traces(copied, said) == []


def test_the_job_removes_the_same_and_its_schedule_is_off(root, monkeypatch):
    from pipeline_defs.definitions import defs

    key = unname(root, "walk_lm/gate_report")
    age(root)
    result = defs.resolve_job_def("gc").execute_in_process()
    assert result.success and not Store(root / "store").snapshot_path(key).exists() and faults(root) == {}
    assert defs.resolve_schedule_def("gc_weekly").default_status == dg.DefaultScheduleStatus.STOPPED


def killed_at(moment, withdrawing):
    """Whether a collection in a process of its own was killed at its rename number ``moment``."""
    if (child := os.fork()) == 0:
        made = iter(range(moment))

        def watched(call):
            def rename(*arguments, **named):
                if next(made, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)

            return rename

        os.replace, os.rename, shutil.rmtree = watched(os.replace), watched(os.rename), watched(shutil.rmtree)
        try:
            gc(options(withdrawn=withdrawing))
        except BaseException as error:
            print(error)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


def marked(root, kind):
    """The id of the snapshot of a kind that the withdrawal marked."""
    (path,) = (root / "store" / "withdrawals").glob("*.json")
    store = Store(root / "store")
    return next(key for key in json.loads(path.read_text())["marked"] if store.opened(key).kind == kind)


def distinctive_of(root):
    table = Store(root / "store").opened(marked(root, "text/raw_slice")).table("records.parquet")
    texts = table["text"].to_pylist()
    return distinctive(texts[0], texts[1:])
