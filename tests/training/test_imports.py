"""What may be in the training room's source at all."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "training").rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_s01_nothing_can_unpickle():
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert not {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"} & imported(tree), path
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not {"torch.load", "torch.save", "np.load", "numpy.load"} & calls, path


def test_no_global_generator_of_numpy_or_python_is_used():
    """Everything random but dropout is keyed. One module keeps them, for foreign optimizers that draw from them."""
    for path in SOURCES:
        if path.name == "generators.py":
            continue
        tree = ast.parse(path.read_text())
        assert "random" not in imported(tree), path
        uses = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        assert not {use for use in uses if use.startswith(("np.random", "numpy.random"))}, path


def test_names_presets_and_stages_load_without_torch():
    program = (
        "import sys; from training.recipe import STAGES, discover; import training.stages\n"
        "from assets_data.domains.text.walks import read as scoring\n"
        "recipe = discover()['walk_lm']; recipe.presets['demo'](); assert len(STAGES) == 3\n"
        "loaded = {'torch', 'dagster', 'polars', 'pandera', 'matplotlib'} & set(sys.modules); assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
