"""Bytes that a smoke run hashes over bytes it publishes, explicit verification counted apart.

Runs ``stemma run --preset smoke`` in this process with every SHA-256 counted. Explicit verification is what is asked
for by name: deep verification of a checkpoint, of a preflight before it is trusted, the walk over the whole lineage.

    python -m benchmarks.hashing
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.result import save

_counted: Counter[str] = Counter()
_what = ["work"]


class _Counting:
    """``hashlib.sha256`` with its bytes counted under what is being done."""

    def __init__(self, data: Any = b"", **options: Any) -> None:
        self._inner = _sha256(**options)
        self.update(data)

    def update(self, data: Any) -> None:
        _counted[_what[-1]] += memoryview(data).nbytes
        self._inner.update(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_sha256, _file_digest = hashlib.sha256, hashlib.file_digest


def _counting_file(file: Any, algorithm: Any) -> Any:
    _counted[_what[-1]] += os.fstat(file.fileno()).st_size
    return _file_digest(file, algorithm)


@contextlib.contextmanager
def _as(name: str) -> Iterator[None]:
    _what.append(name)
    try:
        yield
    finally:
        _what.pop()


def _explicit(function: Callable[..., Any], only: Callable[..., bool] = lambda *a, **k: True) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        with _as("verification") if only(*arguments, **options) else contextlib.nullcontext():
            return function(*arguments, **options)

    return counted


def main() -> None:
    """Run once in an empty store and save the shares."""
    hashlib.sha256, hashlib.file_digest = _Counting, _counting_file  # type: ignore[assignment]
    from assets_data.lineage import Snapshot
    from assets_data.lineage.queries import explain
    from pipeline_defs.commands.run import run

    explain.explain = _explicit(explain.explain)
    Snapshot.verify = _explicit(Snapshot.verify, lambda self, deep=False: deep)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STEMMA_ROOT"] = folder
        status = run("walk_lm", "smoke", {})
        files = [path for path in (Path(folder) / "store" / "snapshots").rglob("*") if path.is_file()]
        published = sum(path.stat().st_size for path in files)
    figures = {
        "published_bytes": published,
        "hashed_bytes": _counted["work"],
        "verification_bytes": _counted["verification"],
        "hashed_over_published": round(_counted["work"] / published, 2),
        "passed": status == 0,
    }
    save("hashing", ["polars", "pyarrow"], figures)


if __name__ == "__main__":
    main()
