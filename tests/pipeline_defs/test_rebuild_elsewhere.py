"""Figure 6 of the lineage: the chain rebuilt where everything that should not matter is another thing, id by id.

Another checkout, working directory, user, home, umask, time zone, locale, hash seed and thread count of every library.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOMS, ROOT
from assets_data.lineage.receipts.reader import read_receipt
from tests.chain import environment, published_ids
from training.trainer import Trainer

ELSEWHERE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",  # so that text files are ASCII unless the code says otherwise
    "PYTHONHASHSEED": "4321",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "3",  # neither what the chain was made under nor what the configs say
}
UMASK = 0o027
MANIFEST = "text/dataset_manifest"
NOBODY = 65534
# The interpreter may lie in a home that is closed to others: reading is allowed everywhere, writing as for any user.
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
AS_NOBODY += ("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search")

pytestmark = pytest.mark.slow  # a training each, and another that makes what is rebuilt


@pytest.fixture
def folder():
    """A copy of the code and an empty home, in a directory that another user can reach, as tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="stemma-elsewhere-") as path:
        for room in ROOMS:
            shutil.copytree(ROOT / room, Path(path, room), ignore=shutil.ignore_patterns("__pycache__"))
        Path(path, "home").mkdir()
        yield Path(path)


def test_the_whole_chain_has_the_same_ids_elsewhere(finished_chain, folder):
    made_again = rebuilt(finished_chain, folder, "walk_lm/gate_report", "text/quality_summary")
    require_every_id(published_ids(finished_chain), made_again, os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no `setpriv` on PATH: it is part of util-linux")
def test_the_whole_chain_has_the_same_ids_when_another_user_makes_it_again(finished_chain, folder):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    made_again = rebuilt(finished_chain, folder, "walk_lm/gate_report", "text/quality_summary", user=AS_NOBODY)
    require_every_id(published_ids(finished_chain), made_again, NOBODY)


def test_the_checkpoint_of_the_other_recipe_has_the_same_id_elsewhere(finished_chain, folder, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(finished_chain / "store", root / "store")
    Trainer("hrm_lm", MANIFEST, store=root / "store", preset="smoke", overrides={"train.updates": 40}).train()
    made_again = rebuilt(root, folder, "hrm_lm/checkpoint")
    ids = {name: snapshot_id for name, snapshot_id in published_ids(root).items() if name.startswith("hrm_lm/")}
    require_every_id(ids, made_again, os.geteuid())


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core runs one thread, whatever is asked for")
def test_a_checkpoint_on_the_machines_threads_has_the_same_id_on_as_many_and_otherwise_they_are_named(
    finished_chain, tmp_path
):
    root = tmp_path / "root"
    shutil.copytree(finished_chain / "store", root / "store")
    settings = ("--set", "train.threads=null", "--set", "train.updates=60")
    options = ("--recipe", "walk_lm", "--store", str(root / "store"), "--preset", "smoke", *settings, "--skip-gate")
    variables = environment(root) | {"OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-m", "training", *options], cwd=ROOT, env=variables, check=True)
    rebuild = [sys.executable, "-m", "pipeline_defs.commands.cli", "rebuild", "walk_lm/checkpoint", "--json"]
    two, one = (
        subprocess.run(rebuild, cwd=ROOT, env=variables | {"OMP_NUM_THREADS": count}, capture_output=True, text=True)
        for count in ("2", "1")
    )
    assert two.returncode == 0, two.stdout + two.stderr
    assert "threads: 2 -> 1" in json.loads(one.stdout)["nodes"][-1]["environment_changed"], one.stdout + one.stderr


def rebuilt(root, folder, *nodes, user=()):
    """The store in which `stemma rebuild` made the nodes again; it must say that every id is the same."""
    again = folder / "again"
    variables = environment(root) | ELSEWHERE | {"HOME": str(folder / "home"), "TMPDIR": str(folder / "home")}
    for node in nodes:
        command = [
            *user,
            sys.executable,
            "-m",
            "pipeline_defs.commands.cli",
            "rebuild",
            node,
            "--into",
            str(again),
            "--json",
        ]
        done = subprocess.run(
            command, cwd=folder, env=variables, umask=UMASK, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        assert all(step["same"] and not step["code_changed"] for step in json.loads(done.stdout)["nodes"])
    return Store(again / "store")


def require_every_id(ids, made_again, uid):
    """Every id is in the store, whole: made by the copied code, on the config's threads, by this user, under UMASK."""
    for snapshot_id in ids.values():
        snapshot = made_again.snapshot(snapshot_id)
        snapshot.verify(deep=True)
        assert {read_receipt(path).commit for path in made_again.receipts(snapshot_id)} == {None}  # a copy has none
        if snapshot.kind.endswith("/checkpoint"):
            assert snapshot.read_json("training.json")["environment"]["threads"] == 1
    facts = [path.stat() for path in made_again.root.rglob("*")]
    assert {fact.st_uid for fact in facts} == {uid} and not any(fact.st_mode & UMASK for fact in facts)
