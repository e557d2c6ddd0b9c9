"""What a receipt says of the checkout and the environment: as they were when the work began, and what moved."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from assets_data.lineage.receipts import code
from assets_data.lineage.receipts.code import ROOT, environment
from assets_data.lineage.receipts.reader import check_statement, read_document, read_receipt
from assets_data.lineage.receipts.variables import bit_variables
from tests.assets_data.lineage.stages import CountConfig
from tests.assets_data.lineage.test_working_tree import git, repository


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    root = repository(tmp_path / "repository")
    (root / "training").mkdir()
    (root / "training" / "stage.py").write_text("A = 1\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a stage")
    monkeypatch.setattr(code, "ROOT", root)
    for remembered in (code.commit, code.code_version, code._imports):
        remembered.cache_clear()
    yield root
    for remembered in (code.commit, code.code_version, code._imports):
        remembered.cache_clear()


def run(store, during=lambda: None):
    def build(writer):
        during()
        writer.write_json("one.json", 1)

    return store.run_stage(name="test/one", module="training.stage", config=CountConfig(), parents={}, build=build)


def test_a_receipt_names_the_commit_the_work_began_under_and_the_one_it_ended_under(store, checkout):
    first = git(checkout, "rev-parse", "HEAD")

    def move():
        (checkout / "training" / "stage.py").write_text("A = 2\n")
        git(checkout, "commit", "-q", "-a", "-m", "while it trained")

    snapshot = run(store, move)
    receipt = read_receipt(snapshot.receipt)
    assert receipt.commit == first and receipt.dirty is False
    assert receipt.ended == {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": False, "diff": None}
    check_statement(read_document(snapshot.receipt), snapshot.receipt)


def test_an_edit_or_another_setting_during_the_work_is_said(store, checkout, monkeypatch):
    monkeypatch.delenv("MKL_CBWR", raising=False)

    def edit():
        (checkout / "training" / "stage.py").write_text("A = 2\n")
        monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")

    receipt = read_receipt(run(store, edit).receipt)
    assert receipt.dirty is False and receipt.environment["variables"].get("MKL_CBWR") is None
    assert receipt.ended["dirty"] and receipt.ended["commit"] == receipt.commit
    assert receipt.ended["variables"]["MKL_CBWR"] == "COMPATIBLE"


def test_where_nothing_moved_nothing_is_said(store, checkout):
    receipt = read_receipt(run(store).receipt)
    beside = [entry["name"] for entry in read_document(receipt.path)["predicate"]["runDetails"]["byproducts"]]
    assert receipt.ended == {} and receipt.commit
    assert [name for name in beside if not name.startswith("file=")] == ["environment"]


BIT_VARIABLES = [
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
    "KMP_DETERMINISTIC_REDUCTION", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_OVERRIDE",
    "TORCH_CUDNN_V8_API_DISABLED", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES", "LD_PRELOAD", "PYTHONHASHSEED",
]  # fmt: skip


@pytest.mark.parametrize("name", BIT_VARIABLES)
def test_every_variable_that_changes_bits_is_in_the_receipt(store, monkeypatch, name):
    monkeypatch.setenv(name, "3")
    receipt = read_receipt(run_here(store).receipt)
    assert receipt.environment["variables"][name] == "3"


def run_here(store):
    module = "assets_data.lineage.storage.store"
    build = lambda writer: writer.write_json("one.json", 1)  # noqa: E731
    return store.run_stage(name="test/one", module=module, config=CountConfig(), parents={}, build=build)


def test_no_path_secret_or_setting_without_effect_is_recorded(monkeypatch):
    secret = "canary-6f1d"
    unheard = {"TORCH_HOME", "NUMBA_CACHE_DIR", "ONEDNN_VERBOSE", "TORCH_API_KEY", "HOME_X"}
    unheard.add("TORCH_NCCL_ASYNC_ERROR_HANDLING")  # set by torchrun
    for name in (*unheard, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("LD_PRELOAD", f"/home/{secret}/lib.so")
    found = bit_variables()
    assert secret not in json.dumps(found) and found["LD_PRELOAD"].startswith("sha256:")
    assert set(found) & unheard == set()


ASK = """
import json, sys
for name in sys.argv[1:]: __import__(name)
from assets_data.lineage.receipts.code import ROOT, environment
from assets_data.lineage.receipts.packages import installed_packages
print(json.dumps([installed_packages(ROOT), environment()["lock"]]))
"""


def ask(path, *modules):
    variables = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-c", ASK, *modules]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def second_copy(folder, module, distribution, version=None):
    """Another copy of an installed package; with ``version`` also its metadata, of that version."""
    import importlib
    import importlib.metadata

    source = importlib.import_module(module).__file__
    folder.mkdir()
    if source.endswith("__init__.py"):
        shutil.copytree(os.path.dirname(source), folder / module, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, folder / f"{module}.py")
    if version:
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    return folder


COPIED = [("rfc8785", "rfc8785"), ("dateutil", "python-dateutil"), ("six", "six")]


@pytest.mark.parametrize(("module", "distribution"), COPIED)
def test_the_lock_names_the_copy_that_is_imported(tmp_path, module, distribution):
    plain, lock = ask(tmp_path / "nothing", module)
    copied, other = ask(second_copy(tmp_path / "copy", module, distribution, "0.0.99"), module)
    assert copied == {**plain, distribution: "0.0.99"} and other != lock


@pytest.mark.parametrize(("module", "distribution"), COPIED)
def test_a_copy_that_no_distribution_owns_is_named_by_its_files(tmp_path, module, distribution):
    plain, _ = ask(tmp_path / "nothing", module)
    folder = second_copy(tmp_path / "copy", module, distribution)
    copied, lock = ask(folder, module)
    assert {name for name in copied if copied[name] != plain.get(name)} == {distribution}
    assert copied[distribution].startswith(f"{plain[distribution]}, imported from files sha256:")
    target = folder / f"{module}.py" if (folder / f"{module}.py").exists() else folder / module / "__init__.py"
    target.write_text(target.read_text() + "\n")
    assert ask(folder, module)[1] != lock


HASHED = """
import importlib, os, pathlib, sys
sys.path.insert(0, sys.argv[1])
module = importlib.import_module(sys.argv[2])
files = [path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()]
if sys.argv[3] == "settled":
    for path in files:
        os.utime(path, (1, 1))
from assets_data.lineage.receipts.code import environment
from assets_data.lineage.storage import verified
verified.SETTLED_NS = 0 if sys.argv[3] == "settled" else 3600_000_000_000
hashed = []
hash_one = verified.digest_file
verified.digest_file = lambda path: hashed.append(str(path)) or hash_one(path)
locks = {environment()["lock"] for _ in range(4)}
print(len(locks), max(map(hashed.count, hashed)))
files[0].write_text(files[0].read_text() + "\\n")
print(environment()["lock"] in locks)
"""


@pytest.mark.parametrize(("state", "times"), [("settled", 1), ("written just now", 4)])
@pytest.mark.parametrize("module", ["rfc8785", "six"])
def test_the_files_of_such_a_copy_are_hashed_once_a_process_where_they_have_come_to_rest(
    tmp_path, module, state, times
):
    """Each stage asks for the environment twice: an editable plug-in would be hashed twice a slice and stage."""
    folder = second_copy(tmp_path / "copy", module, module)
    done = subprocess.run(
        [sys.executable, "-B", "-c", HASHED, str(folder), module, state], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", str(times), "False"]


STAGE = """
import json, os, sys
from assets_data.lineage import Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.receipts.reader import read_receipt
from tests_stage import run_here
from pathlib import Path
if sys.argv[2] == "edit":
    path = ROOT / "assets_data" / "lineage" / "identity" / "sorted_sets.py"
    path.write_text(path.read_text() + "# edited\\n")
receipt = read_receipt(run_here(Store(Path(sys.argv[1]))).receipt)
print(json.dumps([dict(receipt.ended), receipt.commit, str(ROOT)]))
"""


@pytest.mark.parametrize("edit", ["edit", "leave"])
def test_a_file_that_was_written_after_it_was_imported_is_named(tmp_path, edit):
    """The commit is read from the disk; what ran may be what lay there before."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "assets_data", root / "assets_data", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests_stage.py").write_text(
        "import assets_data.lineage.identity.sorted_sets\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass C: pass\n"
        "def run_here(store):\n"
        "    return store.run_stage(name='test/one', module='assets_data.lineage.identity.sorted_sets',\n"
        "                           config=C(), parents={},\n"
        "                           build=lambda writer: writer.write_json('one.json', 1))\n"
    )
    for room in ("training", "pipeline_defs"):
        (root / room).mkdir()
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all")
    command = [sys.executable, "-c", STAGE, str(tmp_path / "store"), edit]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    ended, commit, found = json.loads(result.stdout.splitlines()[-1])
    assert found == str(root) and commit
    assert ended.get("touched", []) == (["assets_data/lineage/identity/sorted_sets.py"] if edit == "edit" else [])


def test_the_environment_is_that_of_the_moment_it_is_asked(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    assert environment()["variables"]["MKL_CBWR"] == "AVX2"
    monkeypatch.delenv("MKL_CBWR")
    assert "MKL_CBWR" not in environment()["variables"]
