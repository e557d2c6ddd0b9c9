"""The example package as a stranger uses it: built, installed beside Stemma, run, exported, loaded elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage.receipts.code import ROOT
from tests.chain import environment
from training.recipe import STAGES

EXAMPLE = ROOT / "examples" / "causal_lm"
PROMPT = "def keys(self):\n    return "
LOAD = """
import json, sys, torch
sys.modules |= dict.fromkeys(("assets_data", "training", "stemma_causal_lm"))  # not even by accident
{code}
given = tokenizer({prompt!r}, return_tensors="pt")
with torch.no_grad():
    logits = model(**given).logits[0, -1].tolist()
    written = model.generate(**given, max_new_tokens=16, do_sample=False)[0, given.input_ids.shape[1]:]
print(json.dumps([given.input_ids[0].tolist(), logits, tokenizer.decode(written, skip_special_tokens=True)]))
"""
OURS = """
import json, sys, torch
from pathlib import Path
from assets_data.lineage import Store
from training.recipe import find_recipe
from training.stages import load_model

model = load_model(find_recipe("causal_lm"), Store(Path(sys.argv[1])).pointed("causal_lm/checkpoint"))
with torch.no_grad():
    print(json.dumps(model(torch.tensor([json.loads(sys.argv[2])]))[0, -1].tolist()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A directory that holds the built package and nothing else."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, "--target", str(folder / "site"), str(folder / "source")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, installed):
    """Runs ``stemma`` with the package installed, over a root whose chain has run."""
    root = tmp_path_factory.mktemp("root")

    def python(*arguments, cwd=ROOT):
        paths = os.pathsep.join((str(installed), str(ROOT)))
        given = {**environment(root), "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        return subprocess.run([sys.executable, *arguments], cwd=cwd, env=given, capture_output=True, text=True)

    def stemma(*arguments):
        return python("-m", "pipeline_defs.commands.cli", *arguments)

    done = stemma("run", "--recipe", "causal_lm", "--preset", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = root / "hf"
    exported = stemma("export", "causal_lm/checkpoint", "--format", "hf", "--output", str(folder))
    assert exported.returncode == 0, exported.stderr
    stemma.root, stemma.folder, stemma.python, stemma.told = root, folder, python, done.stdout
    return stemma


def test_it_takes_no_more_than_sixty_lines_of_ones_own():
    sources = (EXAMPLE / "stemma_causal_lm").glob("*.py")
    assert sum(bool(line.strip()) for path in sources for line in path.read_text().splitlines()) <= 60


def test_its_own_tests_pass_against_the_installed_package(finished):
    done = finished.python("-m", "pytest", "-q", "-c", os.devnull, str(EXAMPLE / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_passes_the_gate_that_was_registered_before_training(finished):
    assert "gate: pass (2 of 2 criteria)" in finished.told
    loss, bigram = (float(re.search(rf"{name} (\d+\.\d+)", finished.told)[1]) for name in ("loss", "bigram"))
    assert loss < bigram


def test_it_is_explained_and_its_code_is_in_the_receipts(finished, installed):
    told = finished("explain", "causal_lm/checkpoint")
    assert told.returncode == 0 and "causal_lm/preflight_report" in told.stdout, told.stdout + told.stderr
    assert re.search(r"text/raw_slice", told.stdout)

    def stale():
        listed = json.loads(finished("status", "--json").stdout)
        assert "causal_lm/checkpoint" in listed
        return {name for name, state in listed.items() if not state["fresh"]}

    module = installed / "stemma_causal_lm" / "model.py"
    text = module.read_text()
    assert stale() == set()
    module.write_text(text + "\n# a change\n")
    assert stale() == {f"causal_lm/{stage}" for stage in STAGES}
    module.write_text(text)
    assert stale() == set()


def test_it_writes(finished):
    told = finished("generate", "--checkpoint", "causal_lm/checkpoint", "--prompt", PROMPT, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verdicts"] == ["pass"] and json.loads(told.stdout)["answer"].strip()


def test_transformers_loads_the_export_by_the_cards_lines_with_equal_logits_and_answer(finished):
    pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    code = (finished.folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    theirs = finished.python("-c", LOAD.format(code=code, prompt=PROMPT), cwd=finished.folder)
    assert theirs.returncode == 0, theirs.stderr
    ids, logits, answer = json.loads(theirs.stdout.splitlines()[-1])
    ours = finished.python("-c", OURS, str(finished.root / "store"), json.dumps(ids))
    assert ours.returncode == 0, ours.stderr
    assert json.loads(ours.stdout) == pytest.approx(logits, abs=1e-4)
    generated = finished(
        "generate", "--checkpoint", "causal_lm/checkpoint", "--prompt", PROMPT, "--max-new-tokens", "16", "--json"
    )
    assert json.loads(generated.stdout)["answer"] == answer


def test_the_exports_own_files_are_the_checkpoints_and_its_lineage_verifies(finished):
    named = {path.name for path in (finished.folder / "checkpoint").iterdir()}
    assert {"model.safetensors", "config.json", "training.json"} <= named
    done = finished("check-bundle", str(finished.folder / "lineage.json"))
    assert done.returncode == 0, done.stdout + done.stderr
