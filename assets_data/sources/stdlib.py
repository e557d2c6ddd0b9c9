"""The standard library of the running interpreter as text: no network, and no module is imported.

Each module gives its source without docstrings, and each docstring as a record of its own, so no text is there twice.
Left out: installed packages, test suites, and files that differ between two machines with the same interpreter.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import platform
import sysconfig
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.config import SourceConfig
from assets_data.sources.listing import listed
from assets_data.sources.parts import Part, Record, assign_slices, digest_parts, storable, unreadable

SKIPPED_FOLDERS = {"__pycache__", "dist-packages", "idle_test", "lib-dynload", "site-packages", "test", "tests"}
# Written at build or install time, per machine: build flags, site hooks.
SKIPPED_PREFIXES = ("_sysconfigdata", "config-", "sitecustomize", "usercustomize")

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class StdlibSource:
    """Docstrings and source text of the interpreter's own library; tests give another ``root``."""

    def __init__(self, config: SourceConfig, root: Path | None = None) -> None:
        self.config = config
        self.root = root or Path(sysconfig.get_path("stdlib"))
        self.origin = f"Python {platform.python_version()} standard library"
        self.licence = "PSF-2.0"
        self.stats: dict[str, Any] = {}

    def slices(self) -> dict[str, list[str]]:
        """``stdlib-0 ..``: module paths relative to the library's root."""
        source = ("stdlib", str(self.root), repr(self.config))
        return listed(source, lambda: assign_slices("stdlib", module_paths(self.root), self.config))

    def parts(self, slice_name: str) -> list[Part]:
        """The slice's modules, digested now."""
        return digest_parts(self.root, self, slice_name)

    def records(self, part: Part, dropped: Counter[str]) -> Iterator[Record]:
        """``path#source`` first, then ``path#docstring:qualname`` in the order of the file; nothing is left out."""
        source, docstrings = split_docstrings(_read_module(part.path), part.origin)
        for place, text in [("source", source), *((f"docstring:{name}", text) for name, text in docstrings)]:
            yield storable(Record(f"{part.origin}#{place}", text), self.config.max_record_bytes)

    def rows_besides(self, slice_name: str) -> bool:
        """Whether there is another slice: each holds modules, and each module is a record."""
        return any(name != slice_name for name in self.slices())


def module_paths(root: Path) -> list[str]:
    """POSIX paths of the library's modules relative to ``root``, without tests, packages and per-machine files."""
    found = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if _kept(name)]
        found += [Path(folder, n).relative_to(root).as_posix() for n in names if n.endswith(".py") and _kept(n)]
    return sorted(found)


def split_docstrings(source: str, origin: str) -> tuple[str, list[tuple[str, str]]]:
    """A module's text without its docstrings, and ``(qualified name, docstring)`` of each (the module: ``<module>``).

    Raises DataError MODULE_SYNTAX when the text is not Python of this interpreter's version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are the library's own business
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            raise DataError("MODULE_SYNTAX", f"a module does not parse: {error}", where=origin) from error
    found = sorted(_docstrings(tree, ""), key=lambda item: item[1].lineno)
    docstrings = [(name, inspect.cleandoc(str(node.value))) for name, node in found]
    return _cut(source.encode(), [node for _, node in found]), docstrings


def _kept(name: str) -> bool:
    return name not in SKIPPED_FOLDERS and not name.startswith(SKIPPED_PREFIXES)


def _refuse(error: OSError) -> None:
    raise unreadable(Path(error.filename), error)


def _read_module(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding).read()  # also turns \r\n and \r into \n
    except (SyntaxError, UnicodeDecodeError) as error:
        raise DataError("MODULE_ENCODING", f"a module's text cannot be decoded: {error}", where=path) from error


def _docstrings(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.Constant]]:
    if isinstance(node, _Documented):
        name = "" if isinstance(node, ast.Module) else f"{prefix}{node.name}"
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield name or "<module>", first.value
        prefix = f"{name}." if name else ""
    for child in ast.iter_child_nodes(node):
        yield from _docstrings(child, prefix)


def _cut(source: bytes, nodes: list[ast.Constant]) -> str:
    """``source`` without the bytes of ``nodes`` (in file order); lines that held nothing else go with them."""
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    kept, position = [], 0
    for node in nodes:
        begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[operator]
        before, after = source[starts[node.lineno - 1] : begin], source[end : starts[node.end_lineno]]  # type: ignore[index]
        if not before.strip() and not after.strip():
            begin, end = begin - len(before), end + len(after)
        kept.append(source[position:begin])
        position = end
    return b"".join([*kept, source[position:]]).decode()
