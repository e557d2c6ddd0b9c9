"""A domain and recipes of one's own, outside this checkout: the whole chain works on them, and no file of ours changes.

``stemma new`` writes them, pip installs them; then run, explain, uses, status, rebuild, withdraw and Dagster's own
commands meet kinds of stages that they have never heard of.
"""

import json
import shutil
import sys

import pytest

from assets_data.lineage import Store
from assets_data.lineage.identity.merkle import sorted_records
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage.record_rows import holds_any
from tests.chain import published_ids
from tests.contract.plugins import SLICES, make_plugins, tree_digest, write_csv
from tests.dagster_server import graphql, ui_server

CHECKPOINTS = ("first/checkpoint", "second/checkpoint")
KINDS = {
    "toy": ("raw_slice", "scaler", "rows", "dataset_manifest"),
    "first": ("preflight_report", "checkpoint", "gate_report"),
    "second": ("teacher_table", "preflight_report", "checkpoint", "gate_report"),
}


@pytest.fixture(scope="module")
def before():
    return tree_digest()


@pytest.fixture(scope="module")
def plugins(before, tmp_path_factory):
    return make_plugins(tmp_path_factory.mktemp("plugins"))


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("csv"))


@pytest.fixture(scope="module")
def finished(plugins, csv, tmp_path_factory):
    """The root of a finished run of the second recipe. Read-only."""
    root = tmp_path_factory.mktemp("finished")
    plugins.run(root, csv)
    return root


@pytest.fixture
def root(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "root")
    return tmp_path / "root"


def training_row(root):
    """(record id, group, CSV line) of a row that both checkpoints were trained on."""
    store = Store(root / "store")
    row = store.pointed(f"toy/rows/{SLICES[0]}").table("train.arrow").to_pylist()[3]
    records = store.pointed(f"toy/raw_slice/{SLICES[0]}").table("records.parquet").to_pylist()
    raw = next(r for r in records if r["record_id"] == row["record_id"])
    line = ",".join([raw["group_id"], *(str(raw[name]) for name in "abcy")])
    return row["record_id"], row["group_id"], line


def held_live(root, records):
    """Names whose snapshot holds one of the records now."""
    store, wanted = Store(root / "store"), sorted_records([bytes.fromhex(record) for record in records])
    return [name for name, key in published_ids(root).items() if holds_any(store.opened(key), wanted)]


def weights(root):
    store = Store(root / "store")
    return [store.pointed(name).file("model.safetensors").read_bytes() for name in CHECKPOINTS]


def test_the_run_makes_what_the_second_recipe_stands_on_and_passes_its_gate(finished):
    slices = {f"toy/{stage}/{name}" for stage in ("raw_slice", "rows") for name in SLICES}
    assert set(published_ids(finished)) == slices | {
        "toy/scaler",
        "toy/dataset_manifest",
        "first/preflight_report",
        "first/checkpoint",  # that it is judged is no ancestor of the second recipe
        *(f"second/{stage}" for stage in KINDS["second"]),
    }


def test_explain_is_intact_and_shows_the_teacher_and_its_data(plugins, finished):
    told = plugins.stemma(finished, "explain", "second/checkpoint")
    assert "\nintact: " in told
    for kind in ("first/checkpoint", "first/preflight_report", "second/teacher_table", "toy/raw_slice", "toy/scaler"):
        assert f"─ {kind}  " in told, told


def test_uses_names_both_checkpoints_with_their_steps(plugins, finished):
    record, group, _ = training_row(finished)
    found = json.loads(plugins.stemma(finished, "find", group, "--json"))["records"]
    assert record in {row["record"] for row in found} and all(group in row["excerpt"] for row in found)
    told = json.loads(plugins.stemma(finished, "uses", record, "--json"))
    entries = {name: entry for entry in told["uses"] for name in entry["names"]}
    for name in CHECKPOINTS:
        assert entries[name]["how"] == "saw" and entries[name]["steps"]
    assert told["splits"] == ["train"] and entries["toy/scaler"]["how"] == "learned"
    assert entries["second/teacher_table"]["how"] == entries[f"toy/rows/{SLICES[0]}"]["how"] == "holds"
    step = str(entries["second/checkpoint"]["steps"][0])
    shown = plugins.stemma(finished, "batch", "second/checkpoint", "--step", step)
    assert f"  {record[:12]}" in shown and f"{group}: a=" in shown


def test_everything_is_fresh_after_the_run_and_a_changed_file_is_seen(plugins, finished, csv):
    assert plugins.stemma(finished, "status").endswith(" 0 stale\n")
    file, was = csv / f"{SLICES[1]}.csv", (csv / f"{SLICES[1]}.csv").read_text()
    file.write_text(was + "g00,0,0,0,0\n")
    try:
        told = plugins.python(finished, "-m", "pipeline_defs.commands.cli", "status").stdout
    finally:
        file.write_text(was)
    stale = {line.split()[1] for line in told.splitlines() if line.startswith("STALE")}
    assert f"toy/raw_slice/{SLICES[1]}" in stale and "second/checkpoint" in stale
    assert f"toy/raw_slice/{SLICES[0]}" not in stale


def test_dagsters_own_command_materialises_a_partition_of_the_domain(plugins, tmp_path):
    selection = '+key:"toy/dataset_manifest"'
    arguments = ["-m", "pipeline_defs.definitions", "--select", selection, "--partition", "demo-1"]
    result = plugins.python(tmp_path, "-m", "dagster", "asset", "materialize", *arguments)
    assert result.returncode == 0, result.stderr[-3000:]
    assert set(published_ids(tmp_path)) == {
        "toy/raw_slice/demo-1",
        "toy/scaler",
        "toy/rows/demo-1",
        "toy/dataset_manifest",
    }


def test_a_withdrawn_record_stays_away_and_the_weights_are_those_of_a_chain_that_never_held_it(plugins, root, csv):
    record, _, line = training_row(root)
    assert held_live(root, [record])
    plugins.stemma(root, "withdraw", record, "--apply", "--learned", "rebuild")
    assert held_live(root, [record]) == []
    plugins.run(root, csv)
    assert held_live(root, [record]) == [] and plugins.stemma(root, "status").endswith(" 0 stale\n")
    never = root.parent / "never"
    plugins.run(never, write_csv(root.parent / "left", [line]))
    assert weights(never) == weights(root)
    assert published_ids(never)["toy/scaler"] == published_ids(root)["toy/scaler"]


@pytest.mark.slow
def test_what_a_replaced_teacher_taught_is_never_gone_on_from(plugins, root, csv):
    """Another teacher, the same rows in the same order: another run, and no state of the first one is a state of it."""
    script = """
import sys
from pathlib import Path
from assets_data.lineage import Store, from_dict
from training.branch import same_run
from training.recipe import find_recipe
from training.stages import training_code
from assets_data.lineage.receipts.code import code_version
store, recipe = Store(Path(sys.argv[1])), find_recipe("second")
preflight = store.pointed("second/preflight_report").read_json("registration.json")
config = from_dict(recipe.config_type, preflight["config"])
data = recipe.open_data(store, {n: store.snapshot(key) for n, key in preflight["inputs"].items()}, config)
newest = sorted((store.root / "runs" / sys.argv[2] / "checkpoints").glob("0*"))[-1]
print(same_run(newest, recipe, config, data, code_version(*training_code(recipe))))
"""
    first = Store(root / "store").pointed("second/checkpoint").read_json("training.json")
    asked = plugins.python(root, "-c", script, str(root / "store"), first["run_id"])
    assert asked.stdout.strip().endswith("00000300"), asked.stderr
    plugins.run(root, csv, "first.train.seed=1")
    second = Store(root / "store").pointed("second/checkpoint").read_json("training.json")
    asked = plugins.python(root, "-c", script, str(root / "store"), first["run_id"])
    assert asked.stdout.strip() == "None", asked.stderr
    assert second["run_id"] != first["run_id"] and second["taken_over"] == {}
    assert second["inputs"]["teacher"] != first["inputs"]["teacher"]


def test_the_code_location_has_the_plug_ins_assets_and_checks(plugins, tmp_path):
    """What the code server does; the web server is asked in the slow suite."""
    script = """
from pipeline_defs.definitions import defs
defs.get_repository_def().load_all_definitions()
graph = defs.resolve_asset_graph()
print(*sorted(key.to_user_string() for key in graph.get_all_asset_keys()))
print(*sorted(str(key.name) for key in graph.asset_check_keys if key.asset_key.path[0] in ("toy", "second")))
"""
    result = plugins.python(tmp_path, "-c", script)
    assert result.returncode == 0, result.stderr
    assets, checks = (line.split() for line in result.stdout.splitlines()[-2:])
    assert {f"{owner}/{stage}" for owner, stages in KINDS.items() for stage in stages} <= set(assets)
    assert {"schema", "splits_disjoint", "finite", "gate", "loads_and_rehashes"} <= set(checks)


def test_the_packages_own_tests_pass(plugins, tmp_path):
    """Among them the contract of domains and of recipes."""
    folders = [str(plugins.folder / name / "tests") for name in KINDS]
    options = ["-q", "-p", "no:cacheprovider", f"--rootdir={plugins.folder}"]
    result = plugins.python(tmp_path, "-m", "pytest", *options, *folders)
    assert result.returncode == 0, result.stdout[-4000:]
    assert " passed" in result.stdout and "skipped" not in result.stdout


@pytest.mark.slow
def test_a_withdrawn_group_stays_away_once_what_was_kept_is_learned_again(plugins, root, csv):
    _, group, _ = training_row(root)
    store = Store(root / "store")
    tables = [store.pointed(f"toy/raw_slice/{name}").table("records.parquet").to_pylist() for name in SLICES]
    records = [row["record_id"] for table in tables for row in table if row["group_id"] == group]
    assert len(records) > len(SLICES)
    scaler = published_ids(root)["toy/scaler"]
    told = plugins.stemma(root, "withdraw", "--group", group, "--apply")
    assert "kept, and disclosed" in told and published_ids(root)["toy/scaler"] == scaler
    assert held_live(root, records) == []
    plugins.run(root, csv)
    assert held_live(root, records) == [] and plugins.stemma(root, "status").endswith(" 0 stale\n")
    never = root.parent / "never"
    plugins.run(never, write_csv(root.parent / "left", [f"{group},"]))
    assert weights(never) == weights(root) and published_ids(root)["toy/scaler"] != scaler


@pytest.mark.slow
def test_rebuilding_the_second_checkpoint_gives_every_id_again(plugins, finished):
    result = plugins.python(finished, "-m", "pipeline_defs.commands.cli", "rebuild", "second/checkpoint")
    assert result.returncode == 0 and "every id the same" in result.stdout, result.stderr[-3000:]
    assert all(f"same  {kind}" in result.stderr for kind in (*CHECKPOINTS, "second/teacher_table", "toy/scaler"))


@pytest.mark.slow
def test_the_web_server_shows_the_plug_ins_and_what_was_made(plugins, finished):
    query = "{ assetNodes { groupName assetKey { path } assetMaterializations(limit: 1) { runId } } }"
    with ui_server(finished, PYTHONPATH=plugins.environment(finished)["PYTHONPATH"]) as address:
        nodes = {"/".join(n["assetKey"]["path"]): n for n in graphql(address, query)["assetNodes"]}
    for owner, stages in KINDS.items():
        assert all(nodes[f"{owner}/{stage}"]["groupName"] == owner for stage in stages)
    assert all(nodes[name]["assetMaterializations"] for name in CHECKPOINTS)


BREACHES = {
    "a source that reads withdrawn records again": (
        "toy/raw_slice.py",
        "parse(data, slice_name), store.withdrawn)",
        "parse(data, slice_name), store.withdrawn[:0])",
        "RECORD_WITHDRAWN",
    ),
    "a source that keeps what is taken out": (
        "toy/raw_slice.py",
        '_write(writer, raw_slice.table("records.parquet"), gone,',
        '_write(writer, raw_slice.table("records.parquet"), gone[:0],',
        "RECORD_WITHDRAWN",
    ),
    "a redaction that loses what nobody withdrew": (
        "toy/raw_slice.py",
        'raw_slice.table("records.parquet"), gone',
        'raw_slice.table("records.parquet").slice(0, 20), gone',
        "another one than taking them out gave",
    ),
    "a stage that is another one every time": (
        "toy/scaler.py",
        'return {"mean": mean,',
        'return {"mean": mean + __import__("time").time() * 1e-9,',
        "replayed from its receipt it differs",
    ),
    "a split that no table says": ("toy/*.py", "{split}.arrow", "{split}_rows.arrow", "in which split"),
    "a schema that does not fit": ("toy/schemas.py", "pl.Float32, _FINITE", "pl.Float64, _FINITE", "schema failed"),
    "an input that is not declared": (
        "toy/domain.py",
        ', "scaler": One("toy/scaler")},\n        sliced',
        "},\n        sliced",
        "which is not declared",
    ),
    "code that a stage does not name": (
        "toy/manifest.py",
        "module=__name__",
        'module="toy.split"',
        "its code or something it imports was edited",
    ),
    "a teacher that is no member": (
        "second/data.py",
        '("teacher", "teacher_table")',
        '("teacher_table",)',
        "is not among data.members",
    ),
    "rows in another order than their tables": (
        "first/data.py",
        "row_keys=train.row_keys,",
        "row_keys=train.row_keys[::-1].copy(),",
        "are not those of data.tables",
    ),
}
BREACH = """
import sys
from pathlib import Path
from pipeline_defs.contract import domain_problems, recipe_problems
name, folder = sys.argv[1:]
print("PROBLEMS", (domain_problems if name == "toy" else recipe_problems)(name, Path(folder)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("breach", BREACHES)
def test_the_contract_finds_a_breach(plugins, tmp_path, breach):
    file, right, wrong, says = BREACHES[breach]
    broken = plugins.copied(tmp_path)
    sources = {path: path.read_text() for path in broken.site.glob(file)}
    assert any(right in source for source in sources.values())
    for path, source in sources.items():
        path.write_text(source.replace(right, wrong))
    result = broken.python(tmp_path / "root", "-c", BREACH, file.partition("/")[0], str(tmp_path / "trial"))
    found = [line for line in result.stdout.splitlines() if line.startswith("PROBLEMS")]
    assert found and says in found[0], result.stdout[-2000:] + result.stderr[-2000:]


def test_no_file_of_ours_changed(before, plugins, finished):
    assert sys.flags.optimize == 0 and tree_digest() == before and ROOT.is_dir()
