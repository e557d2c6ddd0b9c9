"""F40: an upstream is made anew while its downstream runs, each by Dagster's own command in a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.receipts.reader import read_receipt
from pipeline_defs.commands.chain import plan_chain
from pipeline_defs.home import prepare_home
from tests.chain import environment, published_ids, stemma

SLICE = "stdlib-2"
SLICED = ("raw_slice", "documents", "document_index", "drops", "triples")
DATA = [f"text/{asset}" for asset in (*SLICED, "tokenizer", "duplicates")]
DOWNSTREAM = "walk_lm/checkpoint"
UPSTREAM = {
    "walk_corpus": "text/walk_corpus",
    "manifest": "text/dataset_manifest",
    "preflight": "walk_lm/preflight_report",
}
OTHER_SETTINGS = {"text.walk_corpus.seed": 43}  # the downstream differs by what it reads alone
DEADLINE_S = 240


@pytest.mark.slow  # three trainings
def test_f40_the_receipt_names_what_was_read_and_status_says_stale_until_it_runs_again(tmp_path, monkeypatch):
    root = tmp_path / "root"
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_home(root)
    finish(start(root, [*DATA, *UPSTREAM.values()]))
    read = upstream_ids(root)
    running = start(root, [DOWNSTREAM])
    with stopped_in_training(root, running):
        finish(start(root, list(UPSTREAM.values()), OTHER_SETTINGS))
        moved = upstream_ids(root)
        assert DOWNSTREAM not in published_ids(root)
        assert {role for role in UPSTREAM if moved[role] != read[role]} == {"walk_corpus", "preflight"}
    finish(running)

    first = published_ids(root)[DOWNSTREAM]
    assert receipt_parents(root) == read
    again = stemma(root, "rebuild", DOWNSTREAM)  # the weights tell: from what the receipt names come these very ones
    assert again.returncode == 0, again.stdout + again.stderr[-3000:]
    assert stale(root) == {
        DOWNSTREAM: {
            ("parent", f"{UPSTREAM[role]} is another one than was read") for role in ("walk_corpus", "preflight")
        }
    }

    finish(start(root, [DOWNSTREAM]))
    assert receipt_parents(root) == moved and published_ids(root)[DOWNSTREAM] != first
    assert stale(root) == {}


def start(root, assets, overrides=None):
    """`dagster asset materialize` of these assets on smoke settings, in one process."""
    ops = plan_chain("walk_lm", "smoke", overrides or {}).ops
    config = {"ops": {op: entry for op, entry in ops.items() if op.replace("__", "/") in assets}}
    arguments = ["--select", " or ".join(f'key:"{asset}"' for asset in assets), "--config-json", json.dumps(config)]
    if set(assets) & set(DATA):
        arguments += ["--partition", SLICE]
    return subprocess.Popen(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "pipeline_defs.definitions", *arguments],
        cwd=ROOT,
        env=environment(root) | {"DAGSTER_HOME": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    """Wait for its end, which must be a success."""
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output[-3000:]


@contextlib.contextmanager
def stopped_in_training(root, process):
    """The process stands still (SIGSTOP) from its first logged updates to the end of the block."""
    deadline = time.monotonic() + DEADLINE_S
    try:
        while not any(path.stat().st_size for path in (root / "store" / "runs").glob("*/metrics.jsonl")):
            assert process.poll() is None and time.monotonic() < deadline, "it never trained"
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        yield
    except BaseException:
        process.kill()
        raise
    process.send_signal(signal.SIGCONT)


def upstream_ids(root):
    """What each input of the downstream stands for now, by the receipt's name for it."""
    ids = published_ids(root)
    return {role: ids[name] for role, name in UPSTREAM.items()}


def receipt_parents(root):
    """What the downstream's receipt says it read."""
    receipt = Store(root / "store").pointed(DOWNSTREAM).receipt
    assert receipt
    receipt = read_receipt(receipt)
    return {parent.input: parent.id for parent in receipt.parents}


def stale(root):
    """The names that `stemma status` calls stale and its reasons; its exit status must say whether there are any."""
    result = stemma(root, "status", "--json")
    found = {
        name: {(reason["kind"], reason["says"]) for reason in standing["reasons"]}
        for name, standing in json.loads(result.stdout).items()
        if not standing["fresh"]
    }
    assert result.returncode == bool(found), result.stderr
    return found
