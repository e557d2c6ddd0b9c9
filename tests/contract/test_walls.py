"""The walls between the rooms, read from the import statements of every file, function-level ones too."""

import ast
import graphlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "assets_data": {"torch", "dagster", "training", "pipeline_defs"},
    "training": {"dagster", "polars", "pandera", "matplotlib", "pipeline_defs"},
    "pipeline_defs": set(),
}
READERS_NEED = re.compile(r"assets_data\.(lineage(\..+)?|stage|documents)")
ALLOWED = re.compile(
    r"assets_data\.(lineage(\..+)?|stage|domain|documents|plugins|soundness|domains\.(\w+\.)+(read|simulator))"
)
"""What training may import of the other room: lineage, stages and domains, and their readers and simulators."""
HEAVY = {"torch", "polars", "pandera", "tokenizers", "numba", "matplotlib", "networkx", "datasketch"}
LINEAGE_NEEDS = {"numpy", "pyarrow", "rfc8785", "google", "in_toto_attestation", "assets_data"}
TRAINING_NEEDS = {"torch", "numpy", "pyarrow", "safetensors", "tqdm", "pytorch_optimizer", "assets_data", "training"}
WHERE_DAGSTER_LISTENS = {"progress.py": {"dagster_pipes"}}  # imported in a function, by a job that a run waits for


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


def test_training_reaches_into_lineage_stages_and_readers_only_and_needs_no_more_than_a_bare_gpu_machine_has():
    for path in files("training"):
        names = [name for name in imported(path) if name.split(".")[0] == "assets_data"]
        assert [name for name in names if not ALLOWED.fullmatch(name)] == [], path
        assert foreign(path, TRAINING_NEEDS | WHERE_DAGSTER_LISTENS.get(path.name, set())) == set(), path


def test_a_bare_gpu_machine_needs_no_dagster_pipes():
    """Importing what tells a waiting run of progress imports nothing of Dagster's, and neither does its use alone."""
    code = "import sys; from training.launch.progress import told\nwith told(): pass\n"
    code += "assert not [name for name in sys.modules if name.startswith('dagster')]"
    alone = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER_")}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=alone, check=True)


def readers():
    return [path for path in files("assets_data/domains") if path.name == "read.py"]


def test_a_domains_reader_needs_numpy_pyarrow_lineage_and_the_stage_only():
    for path in readers():
        ours = [name for name in imported(path) if name.split(".")[0] == "assets_data"]
        assert [name for name in ours if not READERS_NEED.fullmatch(name)] == [], path
        assert foreign(path, {"numpy", "pyarrow", "assets_data"}) == set(), path
    assert len(readers()) >= 2


def test_what_training_may_import_of_the_other_room_brings_nothing_heavy_along():
    """The same from the outside: what is in memory once every reader, ``stage`` and ``plugins`` were imported."""
    modules = [module_name(path) for path in readers()] + [
        "assets_data.stage",
        "assets_data.domain",
        "assets_data.documents",
        "assets_data.plugins",
    ]
    found = f"{HEAVY | {'dagster', 'training'}!r} & set(sys.modules)"
    code = f"import sys, {', '.join(modules)}; assets_data.domain.find_domains(); print(*({found}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0 and result.stdout.split() == [], result.stdout + result.stderr


def test_lineage_needs_no_dataframe_library():
    for path in files("assets_data/lineage"):
        assert foreign(path, LINEAGE_NEEDS) == set(), path


def test_no_pickle_and_no_torch_load_anywhere_s01():
    for room in FORBIDDEN:
        for path in files(room):
            assert not {"pickle", "cloudpickle", "joblib", "shelve"} & set(imported(path)), path
            calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Call)}
            assert not calls & {"torch.load", "torch.save"}, path


def test_the_code_location_loads_without_torch_and_without_what_only_stages_need():
    code = f"import sys, pipeline_defs.definitions; print(*({HEAVY | {'dagster'}!r} & set(sys.modules)))"
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


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_import_time(nodes: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that run when a module is imported: not those of functions or for type checkers."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import_time(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in ("body", "orelse", "finalbody"):
                yield from at_import_time(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from at_import_time(handler.body)


def needed(module: str, tree: ast.Module, known: set[str]) -> set[str]:
    """The modules of the three rooms that importing this one runs. Packages that it lies in itself do not count: they
    may import their parts, as long as no part asks them for a name."""
    found: set[str] = set()
    for node in at_import_time(tree.body):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        else:
            asked = [name for alias in node.names if (name := f"{node.module}.{alias.name}") in known] + [
                node.module for alias in node.names if f"{node.module}.{alias.name}" not in known
            ]
        for name in asked:
            packages = {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}
            found |= {name} | {package for package in packages if not f"{module}.".startswith(f"{package}.")}
    return found & known


def imports(sources: dict[str, str]) -> dict[str, set[str]]:
    return {module: needed(module, ast.parse(source), set(sources)) for module, source in sources.items()}


def test_no_modules_import_each_other_in_a_circle():
    sources = {module_name(path): path.read_text() for room in FORBIDDEN for path in files(room)}
    graph = imports(sources)
    assert len(graph) > 150 and graph["training.loop"] >= {"training.branch", "training.run"}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError naming the circle


@pytest.mark.parametrize(
    "sources",
    [
        {"p.a": "import p.b", "p.b": "from p.c import d", "p.c": "from p import a"},
        {"p": "from p.a import f", "p.a": "from p import g"},
        {"p": "", "p.a": "try:\n    import q.b\nexcept ImportError:\n    pass", "q": "import p.a", "q.b": ""},
    ],
    ids=["over three modules", "a part asks its package", "over a package's first lines"],
)
def test_a_circle_is_found(sources):
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(imports(sources)).static_order())


def test_imports_of_functions_and_for_type_checkers_make_no_circle():
    later = "if TYPE_CHECKING:\n    import p.a\n\ndef f():\n    import p.a\n"
    sources = {"p": "from p.a import f", "p.a": "from p.b import f", "p.b": later}
    assert tuple(graphlib.TopologicalSorter(imports(sources)).static_order()) == ("p.b", "p.a", "p")
