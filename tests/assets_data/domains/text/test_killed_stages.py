"""Text stages killed between data files and snapshot.json: nothing counts as published, a rerun gives the same id."""

import signal
import subprocess
import sys

import pytest

from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from tests.assets_data.domains.text.corpora import chain_of, documents, source_of, write_rows

SLOW = ("text/raw_slice", "text/documents", "text/document_index", "text/drops", "text/triples", "text/quality_summary")
# Ends itself as the kernel would: when the first bucket is read back, or when a stage's files are all written.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from assets_data.lineage import Store
from assets_data.lineage.storage.snapshot_writer import SnapshotWriter
from assets_data.domains.text import shuffle
from tests.assets_data.domains.text.test_killed_stages import publish_all

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(kind):
    finish = SnapshotWriter.finish
    SnapshotWriter.finish = lambda self, *said: die() if self.kind == kind else finish(self, *said)

shuffle.read_table = die if sys.argv[2] == "bucket" else shuffle.read_table
die_at(sys.argv[2])
publish_all(Store(Path(sys.argv[1]) / "store"), Path(sys.argv[1]) / "in")
"""


def publish_all(store, folder):
    """Every text stage up to the summary; the ids by kind."""
    raw = make_raw_slice(store, "files-0", source_of(folder, shuffle=True))
    chain = chain_of(store, {"files-0": raw})
    summary = make_quality_summary(store, chain.raw, chain.triples)
    by_slice = [made["files-0"] for made in (chain.raw, chain.documents, chain.index, chain.drops, chain.triples)]
    return {snapshot.kind: snapshot.id for snapshot in (*by_slice, chain.tokenizer, chain.duplicates, summary)}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The ids of an undisturbed run, and the rows it read."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_rows(root / "in" / "a.jsonl", documents(40))
    return publish_all(Store(root / "store"), root / "in")


@pytest.mark.parametrize(
    "moment", ["bucket", "text/duplicates", *(pytest.param(m, marks=pytest.mark.slow) for m in SLOW)]
)
def test_f12_a_stage_killed_before_it_is_complete_leaves_nothing_and_a_rerun_gives_the_same_id(
    tmp_path, expected, moment
):
    write_rows(tmp_path / "in" / "a.jsonl", documents(40))
    killed = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), moment], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    store = Store(tmp_path / "store")
    kind = "text/raw_slice" if moment == "bucket" else moment
    whole = [path for path in (store.root / "snapshots").iterdir() if (path / "snapshot.json").exists()]
    assert kind not in {store.opened(path.name).kind for path in whole}
    assert publish_all(store, tmp_path / "in") == expected
    assert not list(store.root.rglob(".tmp-*"))
