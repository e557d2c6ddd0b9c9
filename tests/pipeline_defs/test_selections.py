"""The selections that the README shows do what they say, with Dagster's own command."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from tests.chain import environment

SHOWN = re.findall(r"^    (dagster asset materialize .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
MADE = [
    {"text/raw_slice/stdlib-0", "text/documents/stdlib-0"},
    {"text/tokenizer", "text/duplicates"},
    {"walk_lm/preflight_report", "walk_lm/checkpoint", "walk_lm/gate_report", "walk_lm/promoted_checkpoint"},
    {"walk_lm/checkpoint", "walk_lm/gate_report", "walk_lm/promoted_checkpoint"},
    {"walk_lm/promoted_checkpoint"},
]


def test_the_readme_shows_five():
    assert len(SHOWN) == len(MADE) == 5


@pytest.mark.parametrize("number", range(5))
def test_each_materialises_what_it_names(finished_chain, tmp_path, number):
    root = tmp_path / "root"
    shutil.copytree(finished_chain, root)
    store = Store(root / "store")
    for name in MADE[number]:
        (store.root / "pointers" / f"{name}.json").unlink(missing_ok=True)
    words = shlex.split(SHOWN[number])
    command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    variables = environment(root) | {"DAGSTER_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    (tmp_path / "home").mkdir()
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert {name for name in MADE[number] if store.pointer(name)} == MADE[number]
    assert "RUN_SUCCESS" in result.stderr
