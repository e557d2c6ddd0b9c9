"""The code version of a recipe or domain in an installed package: its own source and what that uses of this project."""

import shutil
import sys

import pytest

from assets_data.lineage import ConfigError
from assets_data.lineage.receipts import code

FILES = {
    "acme_plugin/__init__.py": "from acme_plugin.recipe import RECIPE\n",
    "acme_plugin/recipe.py": "raise RuntimeError('imported')\nfrom .parts import model\nimport acme_lone\n",
    "acme_plugin/parts/__init__.py": "",
    "acme_plugin/parts/model.py": "def build():\n    from training import order\n",
    "acme_lone.py": "from training.tokens import rows\nimport acme_plugin\n",
    "acme_space/deep/__init__.py": "",
    "acme_space/deep/a.py": "from acme_space.deep import b\n",
    "acme_space/deep/b.py": "B = 1\n",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    forget()


def forget():
    for cached in (code.code_version, code._imports, code._plugin_roots):
        cached.cache_clear()


def version(module):
    forget()
    return code.code_version(module)


def changes(folder, module):
    """The files whose edit changes the version of ``module``."""
    before, found = version(module), set()
    for name in FILES:
        text = (folder / name).read_text()
        (folder / name).write_text(text + "X = 1\n")
        if version(module) != before:
            found.add(name)
        (folder / name).write_text(text)
    assert version(module) == before
    return found


def test_a_package_is_covered_whole_and_other_packages_are_not(installed):
    assert changes(installed, "acme_plugin") == {name for name in FILES if name.startswith("acme_plugin/")}


def test_a_module_is_covered_by_its_imports_relative_ones_too(installed):
    assert changes(installed, "acme_plugin.recipe") == {name for name in FILES if name.startswith("acme_plugin/")}
    assert changes(installed, "acme_plugin.parts.model") == {"acme_plugin/parts/model.py"}


def test_a_single_module_and_a_package_without_init_are_found(installed):
    assert changes(installed, "acme_lone") == {"acme_lone.py"}
    assert changes(installed, "acme_space.deep.a") == {name for name in FILES if name.startswith("acme_space/")}


@pytest.mark.parametrize(
    ("module", "uses"), [("acme_plugin.parts.model", "training/order.py"), ("acme_lone", "training/tokens/rows.py")]
)
def test_what_it_uses_of_this_project_is_covered_too(installed, tmp_path, monkeypatch, module, uses):
    root = tmp_path / "project"
    for path in code.ROOT.joinpath("training").rglob("*.py"):
        target = root / path.relative_to(code.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    monkeypatch.setattr(code, "ROOT", root)
    before = version(module)
    (root / "training" / "journal.py").write_text("X = 1\n")
    assert version(module) == before
    (root / uses).write_text("X = 1\n")
    assert version(module) != before


def test_the_version_is_the_same_wherever_it_is_installed_and_nothing_is_imported(installed, monkeypatch):
    here = version("acme_plugin")
    elsewhere = installed / "elsewhere"
    for name in FILES:
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(installed / name, elsewhere / name)
    monkeypatch.syspath_prepend(str(elsewhere))
    assert version("acme_plugin") == here
    assert not [name for name in sys.modules if name.startswith("acme_")]


@pytest.mark.parametrize("module", ["acme_nowhere", "acme_plugin.missing", "training.missing", "math"])
def test_a_module_without_source_is_refused(installed, module):
    with pytest.raises(ConfigError) as caught:
        version(module)
    assert caught.value.code == "CODE_NO_SOURCE" and module in str(caught.value)
