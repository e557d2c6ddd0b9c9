"""A stage's code version covers the plug-ins it is made of, wherever they are installed, and nothing else."""

import importlib

import pytest

from assets_data.lineage import ConfigError
from assets_data.lineage.receipts import code

FILES = {
    "alien/__init__.py": "",
    "alien/domain.py": "from alien import read\nDOMAIN = None\n",
    "alien/read.py": "from assets_data.lineage import Store\nimport guests.tools\n",
    "alien/rows.py": "from .read import Store\nimport json, unrelated\n",
    "alien/alone.py": "import json\n",
    "guests/__init__.py": "",
    "guests/tools.py": "",
    "guests/recipe.py": "import alien.read\nfrom alone_plugin import THING\n",
    "unrelated/__init__.py": "",
    "alone_plugin.py": "THING = 1\n",
    "plugins-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: plugins\nVersion: 1\n",
    "plugins-1.dist-info/entry_points.txt": "[stemma.domains]\nalien = alien.domain:DOMAIN\n"
    "[stemma.recipes]\nguest = guests.recipe:RECIPE\nalone = alone_plugin:THING\n",
}


@pytest.fixture
def version(tmp_path, monkeypatch):
    """``version(where, module, {file: another text})`` of the plug-ins installed in a folder of their own."""

    def version(where, module, changes=None):
        folder = tmp_path / where
        for name, text in {**FILES, **(changes or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            forget()
            return code.code_version(module)

    yield version
    forget()


def forget():
    importlib.invalidate_caches()
    for function in (code.code_version, code._imports, code._plugins, code._plugin_roots):
        function.cache_clear()


@pytest.mark.parametrize(
    ("module", "file", "covered"),
    [
        ("alien.rows", "alien/rows.py", True),
        ("alien.rows", "alien/read.py", True),  # by a relative import
        ("alien.rows", "alien/__init__.py", True),
        ("alien.rows", "guests/tools.py", True),  # of another plug-in
        ("alien.rows", "alien/alone.py", False),
        ("alien.rows", "unrelated/__init__.py", False),  # installed, and no plug-in
        ("alien.alone", "alien/read.py", False),
        ("guests.recipe", "alien/read.py", True),
        ("guests", "guests/recipe.py", True),  # a package takes in all that is in it
        ("guests.recipe", "alone_plugin.py", True),
        ("alone_plugin", "alone_plugin.py", True),
    ],
)
def test_the_version_covers_what_is_imported_of_plug_ins(version, module, file, covered):
    before = version("a", module)
    assert (version("a", module, {file: FILES[file] + "# edited\n"}) != before) == covered
    assert version("a", module) == before


def test_where_a_plug_in_is_installed_is_no_part_of_its_version(version):
    assert version("a", "alien.rows") == version("b", "alien.rows")


def test_the_rooms_are_followed_from_a_plug_in(version, monkeypatch):
    seen = []
    monkeypatch.setattr(code, "_READ", {})  # as in a new process
    original = code.digest_bytes
    monkeypatch.setattr(code, "digest_bytes", lambda data: seen.append(data) or original(data))
    version("a", "alien.read")
    assert (code.ROOT / "assets_data" / "lineage" / "storage" / "store.py").read_bytes() in seen


def test_a_module_that_is_not_there_is_an_error(version):
    with pytest.raises(ConfigError, match="CODE_NO_SOURCE"):
        version("a", "alien.nowhere")
    with pytest.raises(ConfigError, match="CODE_NO_SOURCE"):
        version("a", "no_such_package.at_all")


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    import guests.tools",
        "class A:\n    async def f(self):\n        with open('x'):\n            import guests.tools",
        "try:\n    import json\nexcept ImportError:\n    import guests.tools",
        "try:\n    import json\nexcept ImportError:\n    pass\nelse:\n    import guests.tools",
        "try:\n    import json\nfinally:\n    import guests.tools",
        "if json:\n    pass\nelif ast:\n    import guests.tools",
        "for x in y:\n    pass\nelse:\n    while x:\n        import guests.tools",
        "match x:\n    case 1:\n        import guests.tools",
        "x = lambda: 1 if y else 2; import guests.tools",
    ],
)
def test_an_import_counts_wherever_it_stands(version, source):
    changes = {"alien/alone.py": f"{source}\n"}
    before = version("a", "alien.alone", changes)
    assert before != version("b", "alien.alone", {**changes, "guests/tools.py": "CHANGED = 1\n"})
