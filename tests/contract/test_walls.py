"""The walls between the rooms, read from the import statements of every file, function-level ones too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "assets_data": {"torch", "dagster", "training", "pipeline_defs"},
    "training": {"dagster", "polars", "pandera", "matplotlib", "pipeline_defs"},
    "pipeline_defs": set(),
}
LINEAGE_NEEDS = {"numpy", "pyarrow", "rfc8785", "google", "in_toto_attestation", "assets_data"}
TRAINING_NEEDS = {"torch", "numpy", "pyarrow", "safetensors", "tqdm", "pytorch_optimizer", "assets_data", "training"}


def files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def foreign(path, allowed):
    roots = {name.split(".")[0] for name in imported(path)}
    return roots - allowed - sys.stdlib_module_names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_imports_what_it_must_not(room):
    broken = {
        str(path): sorted(found)
        for path in files(room)
        if (found := {name.split(".")[0] for name in imported(path)} & FORBIDDEN[room])
    }
    assert files(room) and broken == {}


def test_training_reaches_into_lineage_only_and_needs_no_more_than_a_bare_gpu_machine_has():
    for path in files("training"):
        beyond = [name for name in imported(path) if name.startswith("assets_data") and "lineage" not in name]
        assert beyond == [], path
        assert foreign(path, TRAINING_NEEDS) == set(), path


def test_lineage_needs_no_dataframe_library():
    for path in files("assets_data/lineage"):
        assert foreign(path, LINEAGE_NEEDS) == set(), path


def test_no_pickle_and_no_torch_load_anywhere_s01():
    for room in FORBIDDEN:
        for path in files(room):
            assert not {"pickle", "cloudpickle", "joblib", "shelve"} & set(imported(path)), path
            calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Call)}
            assert not calls & {"torch.load", "torch.save"}, path


def test_the_code_location_loads_without_torch():
    code = "import sys, pipeline_defs.definitions; print(*({'torch', 'numba', 'dagster'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.split() == ["dagster"], result.stderr


def test_show_and_verify_start_without_dagster_or_torch(tmp_path):
    code = (
        "import sys; from pipeline_defs.commands.cli import main; main(['verify', 'nothing']);"
        "print('dagster' in sys.modules, 'torch' in sys.modules, 'polars' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env={"STEMMA_ROOT": str(tmp_path)}
    )
    assert result.stdout.split() == ["False"] * 3 and "NODE_UNKNOWN" in result.stderr


def test_the_code_server_accepts_every_definition():
    """What `dagster dev` does when it loads the code location, and running an asset by itself does not."""
    from pipeline_defs.definitions import defs

    defs.get_repository_def().load_all_definitions()
