"""The standard library as text: every docstring once, no tests, no per-machine files, no module imported."""

import ast
import sys
import textwrap
from collections import Counter

import pytest

from assets_data.lineage import DataError
from assets_data.sources.config import SourceConfig, smoke
from assets_data.sources.stdlib import StdlibSource, module_paths, split_docstrings

MODULE = textwrap.dedent('''\
    # é before the docstring moves byte columns away from character columns
    """The module,
    on two lines."""
    import os
    class Outer:  # kept
        "Outer's text"
        class Inner:
            async def run(self): 'run é it'; return "a value, not a docstring"
        def joined(self):
            "first " \\
            "second"
            """not a docstring: the second statement"""
    if os.name:
        def branch():
            r"""raw \\d"""
    def bare():
        return 1
''')


def library(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return StdlibSource(SourceConfig(shards=1), root)


def records(source):
    return {
        r.origin: r.text for name in source.slices() for p in source.parts(name) for r in source.records(p, Counter())
    }


def test_every_docstring_is_cut_out_and_becomes_a_record_of_its_own():
    source, docstrings = split_docstrings(MODULE, "m.py")
    assert docstrings == [
        ("<module>", "The module,\non two lines."),
        ("Outer", "Outer's text"),
        ("Outer.Inner.run", "run é it"),
        ("Outer.joined", "first second"),
        ("branch", "raw \\d"),
    ]
    assert not any(text.splitlines()[0] in source for _, text in docstrings)


def test_what_is_not_a_docstring_stays_where_it_was():
    source, _ = split_docstrings(MODULE, "m.py")
    assert source.splitlines() == [
        "# é before the docstring moves byte columns away from character columns",
        "import os",
        "class Outer:  # kept",
        "    class Inner:",
        '        async def run(self): ; return "a value, not a docstring"',
        "    def joined(self):",
        '        """not a docstring: the second statement"""',
        "if os.name:",
        "    def branch():",
        "def bare():",
        "    return 1",
    ]


def test_the_real_library_loses_its_docstrings_and_nothing_else():
    source = StdlibSource(smoke())
    for part in source.parts("stdlib-0"):
        original = part.path.read_text(encoding="utf-8")
        kept, docstrings = split_docstrings(original, part.origin)
        nodes = [n for n in ast.walk(ast.parse(original)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
        assert len(docstrings) >= sum(ast.get_docstring(node) is not None for node in nodes)
        lines = iter(original.splitlines())  # consumed in order; a comment behind a docstring stays, as """doc"""#"
        assert all(any(line == old or old.endswith(f'"{line}') for old in lines) for line in kept.splitlines())


def test_tests_packages_and_per_machine_files_are_left_out(tmp_path):
    kept = ["os.py", "json/__init__.py", "testing.py"]
    skipped = [
        "test/support.py",
        "json/tests/test_json.py",
        "idlelib/idle_test/t.py",
        "site-packages/numpy/__init__.py",
        "__pycache__/os.py",
        "_sysconfigdata__linux_x86_64.py",
        "sitecustomize.py",
        "config-3.11-x86_64/python-config.py",
        "lib-dynload/x.py",
        "LICENSE.txt",
    ]
    library(tmp_path, dict.fromkeys(kept + skipped, "x = 1\n"))
    assert module_paths(tmp_path) == sorted(kept)


def test_reading_the_library_imports_none_of_it():
    before = set(sys.modules)
    source = StdlibSource(SourceConfig(shards=1))
    antigravity = next(p for p in source.parts("stdlib-0") if p.origin == "antigravity.py")
    assert next(source.records(antigravity, Counter())).origin == "antigravity.py#source"
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


def test_the_encoding_cookie_and_old_line_ends_are_honoured(tmp_path):
    source = library(tmp_path, {"old.py": '# -*- coding: latin-1 -*-\r\n"""caf\xe9"""\r\nx = 1\r\n'.encode("latin-1")})
    assert records(source) == {
        "old.py#source": "# -*- coding: latin-1 -*-\nx = 1\n",
        "old.py#docstring:<module>": "café",
    }


@pytest.mark.parametrize(("data", "code"), [(b"def f(:\n", "MODULE_SYNTAX"), (b"x = '\xff'\n", "MODULE_ENCODING")])
def test_a_module_that_cannot_be_read_is_refused_by_name(tmp_path, data, code):
    with pytest.raises(DataError, match=r"bad\.py") as error:
        records(library(tmp_path, {"bad.py": data}))
    assert error.value.code == code
