"""Bytes that a smoke run hashes over bytes it publishes, by what they are hashed for.

Runs ``stemma run --preset smoke`` in this process with every hash counted, and each byte put under the innermost of the
causes below that asked for it. Explicit verification is what is asked for by name: a blocking check that reads a whole
table again, deep verification, the walk over the whole lineage. It is counted apart.

    python -m benchmarks.hashing
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

CAUSES = (
    ("assets_data/lineage/identity/columns.py", "", "values of tables, for the identity"),
    ("assets_data/lineage/identity/digests.py", "text_key64", "keys of rows, files and texts, which are data"),
    ("assets_data/lineage/identity/digests.py", "array_key64", "keys of rows, files and texts, which are data"),
    ("assets_data/domains/text/raw_slice.py", "record_id", "record ids, which are data"),
    ("assets_data/domains/text/cleaned.py", "", "text ids, which are data"),
    ("assets_data/lineage/identity/merkle.py", "", "record roots, for the identity"),
    ("assets_data/lineage/storage/snapshot_writer.py", "_entry", "published files, for the list"),
    ("assets_data/lineage/storage/snapshot.py", "check_file", "published files, read back"),
    ("assets_data/lineage/storage/snapshot_writer.py", "_said", "other parts, for the identity"),
    ("assets_data/lineage/storage/record_index.py", "", "the index of records"),
    ("assets_data/lineage/receipts/code.py", "", "source code and environment"),
    ("assets_data/lineage/receipts/packages.py", "", "source code and environment"),
    ("assets_data/lineage/receipts/working_tree.py", "", "the checkout against its commit"),
    ("assets_data/sources/parts.py", "_digest", "source files"),
    ("training/checkpoint.py", "", "checkpoints in the run directory"),
    ("training/order/digest.py", "", "the order of rows and the journal"),
    ("training/metrics.py", "", "the order of rows and the journal"),
)
OTHER = "documents: receipts, configs, names"
VERIFICATION = "verification"

_counted: Counter[str] = Counter()
_verifying = [False]


def _cause() -> str:
    if _verifying[-1]:
        return VERIFICATION
    frame = sys._getframe(2)
    while frame is not None:
        file, function = frame.f_code.co_filename, frame.f_code.co_name
        for ending, name, cause in CAUSES:
            if file.endswith(ending) and name in ("", function):
                return cause
        frame = frame.f_back
    return OTHER


class _Counting:
    """A hash of :mod:`hashlib` with its bytes counted under what they are hashed for."""

    def __init__(self, data: Any = b"", make: Callable[..., Any] = hashlib.sha256, **options: Any) -> None:
        self._inner = make(**options)
        self.update(data)

    def update(self, data: Any) -> None:
        _counted[_cause()] += memoryview(data).nbytes
        self._inner.update(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_new = hashlib.new  # what hashlib.file_digest makes its hash with


def _counting_new(name: str, data: Any = b"", **options: Any) -> _Counting:
    return _Counting(data, lambda **o: _new(name, **o), **options)


@contextlib.contextmanager
def _verification() -> Iterator[None]:
    _verifying.append(True)
    try:
        yield
    finally:
        _verifying.pop()


def _explicit(function: Callable[..., Any], only: Callable[..., bool] = lambda *a, **k: True) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        with _verification() if only(*arguments, **options) else contextlib.nullcontext():
            return function(*arguments, **options)

    return counted


def main() -> None:
    """Run once in an empty store and save the shares."""
    if moved := {ending for ending, _, _ in CAUSES if not (ROOT / ending).is_file()}:
        raise SystemExit(f"no such files any more: {sorted(moved)}")
    hashlib.sha256, hashlib.new = _Counting, _counting_new  # type: ignore
    from assets_data import stage
    from assets_data.lineage import Snapshot
    from assets_data.lineage.queries import explain

    explain.explain = _explicit(explain.explain)
    Snapshot.verify = _explicit(Snapshot.verify, lambda self, deep=False: deep)  # type: ignore[method-assign]
    loaded = stage.load
    stage.load = lambda address: _explicit(loaded(address)) if ":check_" in address else loaded(address)
    from pipeline_defs.commands.run import run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["STEMMA_ROOT"] = folder
        status = run("walk_lm", "smoke", {})
        files = [path for path in (Path(folder) / "store" / "snapshots").rglob("*") if path.is_file()]
        published = sum(path.stat().st_size for path in files)
    verification = _counted.pop(VERIFICATION)
    hashed = _counted.total()
    figures = {
        "published_bytes": published,
        "hashed_bytes": hashed,
        "verification_bytes": verification,
        "hashed_over_published": round(hashed / published, 2),
        "of_published_by_cause": {cause: round(count / published, 3) for cause, count in _counted.most_common()},
        "passed": status == 0,
    }
    save("hashing", ["polars", "pyarrow"], figures)


if __name__ == "__main__":
    main()
