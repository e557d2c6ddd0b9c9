"""The chain as its users start it: the command, Dagster's own CLI, twice, and in two places."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import plan_chain
from tests.chain import environment, published_ids, run_chain, stemma
from training.recipe import STAGES

SHARED = {f"text/{node}" for node in ("tokenizer", "duplicates", "walk_corpus", "dataset_manifest")}
SLICED = ("raw_slice", "documents", "document_index", "drops", "triples")
NODES = SHARED | {f"walk_lm/{node}" for node in STAGES}


def of_slice(name):
    """The names of a slice's nodes."""
    return {f"text/{node}/{name}" for node in SLICED}


def test_every_node_is_published_verified_and_receipted(finished_chain):
    ids = published_ids(finished_chain)
    assert set(ids) == NODES | {name for number in range(4) for name in of_slice(f"stdlib-{number}")}
    store = Store(finished_chain / "store")
    for snapshot_id in ids.values():
        store.snapshot(snapshot_id).verify(deep=True)
        assert store.receipts(snapshot_id)


def test_another_directory_gives_the_same_ids_and_a_second_run_redoes_nothing(finished_chain, tmp_path):
    run_chain(tmp_path)
    assert published_ids(tmp_path) == published_ids(finished_chain)
    receipts = sorted((tmp_path / "store" / "receipts").rglob("*.json"))
    output = run_chain(tmp_path)
    assert sorted((tmp_path / "store" / "receipts").rglob("*.json")) == receipts
    assert published_ids(tmp_path)["walk_lm/checkpoint"] in output


def test_the_checkpoint_receipt_names_preset_overrides_and_preflight(finished_chain):
    shown = json.loads(stemma(finished_chain, "show", "walk_lm/preflight_report", "--json").stdout)
    ids = published_ids(finished_chain)
    asked = shown["receipts"][0]["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["requested"] == {"preset": "smoke", "overrides": {}}
    assert asked["config"]["train"]["updates"] > 0 and asked["config"]["gate"]
    checkpoint = json.loads(stemma(finished_chain, "show", "walk_lm/checkpoint", "--json").stdout)
    read = [
        d["digest"]["sha256"]
        for d in checkpoint["receipts"][0]["predicate"]["buildDefinition"]["resolvedDependencies"]
        if "sha256" in d["digest"] and "=" in d["name"]
    ]
    named = ("walk_lm/preflight_report", "text/dataset_manifest", "text/walk_corpus")
    assert {f"sha256:{digest}" for digest in read} == {ids[name] for name in named}


@pytest.mark.parametrize("node", ["walk_lm/checkpoint", "text/triples/stdlib-1", "text/tokenizer"])
def test_verify_says_yes_by_name_by_id_and_by_path(finished_chain, node):
    snapshot_id = published_ids(finished_chain)[node]
    path = Store(finished_chain / "store").snapshot_path(snapshot_id)
    for way in (node, snapshot_id, snapshot_id[7:19], str(path)):
        result = stemma(finished_chain, "verify", way)
        assert result.returncode == 0 and result.stdout.endswith("verified\n"), result.stdout + result.stderr


def test_verify_says_no_and_names_the_file_after_one_bit_changed(finished_chain, tmp_path):
    shutil.copytree(finished_chain, tmp_path / "copy")
    store = Store(tmp_path / "copy" / "store")
    weights = store.pointed("walk_lm/checkpoint").file("model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    result = stemma(tmp_path / "copy", "verify", "walk_lm/checkpoint")
    assert result.returncode == 1 and "model.safetensors" in result.stdout and "SNAPSHOT_FILE_DIGEST" in result.stdout


@pytest.mark.parametrize("home", [False, True])
def test_dagsters_own_command_runs_the_chain_of_a_recipe_on_one_slice(tmp_path, home):
    variables = environment(tmp_path / "root")
    if home:
        (tmp_path / "home").mkdir()
        variables["DAGSTER_HOME"] = str(tmp_path / "home")
    config = json.dumps({"ops": plan_chain("walk_lm", "smoke", {}).ops})
    materialize(
        "--select",
        '+key:"walk_lm/gate_report"',
        "--partition",
        "stdlib-2",
        "--config-json",
        config,
        variables=variables,
    )
    assert set(published_ids(tmp_path / "root")) == NODES | of_slice("stdlib-2")


@pytest.mark.slow  # two trainings at full size
def test_dagsters_own_command_with_nothing_configured_passes_every_gate_on_one_slice(tmp_path):
    materialize("--select", "*", "--partition", "stdlib-2", variables=environment(tmp_path))
    recipes = {f"{recipe}/{node}" for recipe in catalogue().recipes for node in STAGES}
    summary = {"text/quality_summary"}
    assert set(published_ids(tmp_path)) == SHARED | summary | of_slice("stdlib-2") | recipes


def materialize(*arguments, variables):
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "pipeline_defs.definitions", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


def test_a_failing_step_says_its_own_error_and_the_exit_status_is_not_zero(tmp_path):
    result = stemma(tmp_path, "run", "--preset", "smoke", "--set", "walk_corpus.walk_length=3")
    assert result.returncode == 1 and "[" in result.stderr and "walk_length" in result.stderr
    assert "walk_lm/checkpoint" not in published_ids(tmp_path)


def test_a_run_that_stops_early_lists_nothing_of_an_earlier_run_as_its_own(finished_chain, tmp_path):
    shutil.copytree(finished_chain, tmp_path / "copy")
    before = published_ids(finished_chain)
    result = stemma(tmp_path / "copy", "run", "--preset", "smoke", "--set", "walk_lm.train.optimizer.lr=1e30")
    assert result.returncode == 1 and "[NON_FINITE]" in result.stderr
    assert before["walk_lm/checkpoint"] not in result.stdout and before["walk_lm/gate_report"] not in result.stdout
    said = [line.split() for line in result.stdout.splitlines()]
    assert ["-", "walk_lm/checkpoint"] in said and ["-", "walk_lm/gate_report"] in said
    assert ["made", "walk_lm/preflight_report"] in said and ["text/tokenizer", before["text/tokenizer"]] in said


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--set", "raw_slice.shrads=4"], "SETTING_UNKNOWN"),
        (["--set", "walk_lm.train.updats=4"], "SETTING_UNKNOWN"),
        (["--set", "triplse.window=4"], "SETTING_UNKNOWN"),
        (["--set", "triples.window=many"], "CONFIG_BAD_VALUE"),
        (["--set", "triples.window"], "SETTING_SHAPE"),
        (["--set", "documents.seed=1", "--set", "seed=2"], "SETTING_SHAPE"),
        (["--recipe", "hrm_lm", "--set", "walk_corpus.seed=99"], "SETTING_UNKNOWN"),
        (["--recipe", "hrm_lm", "--preset", "anchor"], "CHAIN_UNKNOWN_PRESET"),
        (["--preset", "smok"], "CHAIN_UNKNOWN_PRESET"),
        (["--recipe", "walk_ml"], "CHAIN_UNKNOWN_RECIPE"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(tmp_path, arguments, code):
    result = stemma(tmp_path / "root", "run", "--preset", "smoke", *arguments)
    status = 2 if code == "SETTING_SHAPE" else 1
    assert result.returncode == status and code in result.stderr, result.stderr
    assert not (tmp_path / "root").exists()


def test_verify_says_no_when_another_node_is_in_its_place(finished_chain, tmp_path):
    shutil.copytree(finished_chain, tmp_path / "copy")
    store, ids = Store(tmp_path / "copy" / "store"), published_ids(finished_chain)
    one, other = ids["text/raw_slice/stdlib-0"], ids["text/raw_slice/stdlib-1"]
    shutil.rmtree(store.snapshot_path(one))
    shutil.copytree(store.snapshot_path(other), store.snapshot_path(one))
    for node in ("text/raw_slice/stdlib-0", "text/documents/stdlib-0"):  # itself, and as a parent
        result = stemma(tmp_path / "copy", "verify", node)
        assert result.returncode == 1 and "SNAPSHOT_MISPLACED" in result.stdout + result.stderr


def own_files(folder: Path, *further: str) -> list[str]:
    """Modules of Python's own library as a file of one's own, and further texts; the settings that read it."""
    folder.mkdir()
    texts = [module.read_text() for module in sorted((Path(os.__file__).parent).glob("[a-m]*.py"))]
    (folder / "docs.jsonl").write_text("\n".join(json.dumps({"body": text}) for text in (*texts, *further)))
    settings = ["source=files", f"files.root={folder}", 'files.patterns=["*.jsonl"]', 'extract.fields=["body"]']
    settings += ["shards=1", "parts_per_slice=0"]
    return [part for setting in settings for part in ("--set", f"raw_slice.{setting}")]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "dropped"), [([], 2), (["--set", "documents.max_word_chars=0"], 0)])
def test_a_word_of_160_000_letters_holds_up_no_stage_of_a_run(tmp_path, settings, dropped):
    words = ("a sentence before it " + "ab" * 80_000 + " and one behind", "w" * 160_000)
    run_chain(tmp_path / "root", *own_files(tmp_path / "mine", *words), *settings)
    store = Store(tmp_path / "root" / "store")
    triples, rows = store.pointed("text/triples/files-0"), store.pointed("text/raw_slice/files-0").stats["rows"]
    assert triples.read_json("dropped.json")["long_word"] == dropped
    assert triples.stats["documents"] == rows - dropped > 50


def test_own_files_are_not_mixed_with_slices_of_another_source(finished_chain, tmp_path):
    """The embedded corpus first, then files of one's own, in the same root."""
    shutil.copytree(finished_chain / "store", tmp_path / "root" / "store")
    run_chain(tmp_path / "root", *own_files(tmp_path / "mine"))
    manifest = Store(tmp_path / "root" / "store").pointed("text/dataset_manifest").read_json("manifest.json")
    assert list(manifest["members"]["triples"]) == ["files-0"]


def test_on_a_terminal_the_training_shows_its_bar(tmp_path):
    """The chain under a pseudo-terminal, as a person starts it."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 120))
    command = [sys.executable, "-m", "pipeline_defs.commands.cli", "run", "--preset", "smoke"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    with open(leader, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := terminal.read(4096):
            shown += chunk
    assert process.wait() == 0 and b"600/600" in shown and b"update/s" in shown, shown.decode()[-3000:]
