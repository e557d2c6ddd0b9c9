"""What somebody types first, right or wrong, and the sentence that must come back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.cli import main

YES, NO, UNUSABLE = 0, 1, 2

STEMMA = [
    ("--help", YES, "prove and hand on:"),
    ("--version", YES, "stemma 0."),
    ("run --help", YES, "recipes and their presets:"),
    ("run --help", YES, "walk_lm         smoke, demo, anchor, strict"),
    ("run --help", YES, "--no-wait"),
    ("run --set foo", UNUSABLE, "a setting is PATH=JSON"),
    ("run --recipe walk_ml", NO, "no such recipe"),
    ("run --preset smok", NO, "walk_lm has no such preset"),
    ("run --set walk_lm.train.updats=3", NO, "did you mean walk_lm.preflight_report.train.updates?"),
    ("run --set text.triples.windwo=3", NO, "did you mean text.triples.window?"),
    ("run --set text.triples.window=wide", NO, 'triples.window must be a whole number, not "wide"'),
    ("run --set tripels.window=3", NO, "no stage of this chain has this name"),
    ("run --config nowhere.toml", NO, "cannot read the settings"),
    ("config fields text/triples", YES, "tokens per window, without specials"),
    ("config fields text/triples --preset smoke", YES, "preset smoke (of smoke, demo)"),
    ("config fields text/tripels", NO, "no stage makes this"),
    ("config fields text/drops", YES, "text/drops takes no settings"),
    ("completion bash", YES, "complete -o default -F _stemma stemma"),
    ("completion zsh", YES, "bashcompinit"),
    ("completion fish", UNUSABLE, "invalid choice: 'fish'"),
    ("rnu", UNUSABLE, "invalid choice: 'rnu'"),
    ("dagster --help", YES, "asset materialize --select text/raw_slice"),
    ("ui --help", YES, "--port"),
    ("verify nothing/there", NO, "["),
    ("show walk_lm/checkpoint", NO, "["),
    ("status", YES, "0 fresh, 0 stale"),
    ("promote --help", YES, "--rollback"),
]

DAGSTER = [
    ("definitions validate -m pipeline_defs.definitions", YES, "Validation successful"),
    ("job list -m pipeline_defs.definitions", YES, "retrain_walk_lm"),
    ("asset list -m pipeline_defs.definitions --select key:walk_lm/gate_report", YES, "walk_lm/gate_report"),
]
DG = [
    ("check toml", YES, "All TOML configuration files are valid."),
    ("check defs", YES, "All definitions loaded successfully."),
    ("list defs --assets key:walk_lm/gate_report", YES, "walk_lm/gate_report"),
    ("launch --assets text/raw_slice --partition stdlib-0", YES, ""),  # says nothing; what it made is looked at below
    ("launch --assets walk_lm/nothing", NO, "no AssetsDefinition objects supply"),
    ("launch --job retrain_walk_l", UNUSABLE, 'Job "retrain_walk_l" not found'),
]
OF_DAGSTER = [(f"dagster {line}", *rest) for line, *rest in DAGSTER] + [(f"dg {line}", *rest) for line, *rest in DG]


@pytest.mark.parametrize(("line", "status", "sentence"), STEMMA, ids=[f"{i}-{c[0]}" for i, c in enumerate(STEMMA)])
def test_stemma_answers(line, status, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("COLUMNS", "120")
    try:
        found = main(line.split())
    except SystemExit as ended:
        found = ended.code
    said = capsys.readouterr()
    text = said.out + said.err
    assert found == status and sentence in text, text
    assert "Traceback" not in text and "expected None" not in text and "COMMAND_UNEXPECTED" not in text
    assert not (tmp_path / "root").exists()


def test_there_are_thirty_and_more():
    assert len(STEMMA) + len(OF_DAGSTER) >= 30


@pytest.mark.slow  # each loads Dagster and the code location in a process of its own
@pytest.mark.parametrize(("line", "status", "sentence"), OF_DAGSTER, ids=[line for line, *_ in OF_DAGSTER])
def test_dagster_answers(line, status, sentence, tmp_path):
    program, *words = line.split()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DAGSTER_")}
    variables = kept | {"STEMMA_ROOT": str(tmp_path / "root"), "VIRTUAL_ENV": sys.prefix, "COLUMNS": "120"}
    command = [str(Path(sys.executable).parent / program), *words]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == status and sentence in done.stdout + done.stderr, done.stdout + done.stderr
    assert not list(ROOT.glob(".tmp_dagster_home_*"))
    if line.startswith("dg launch --assets text/raw_slice"):
        assert Store(tmp_path / "root/store").names("text/raw_slice") == ["stdlib-0"]
