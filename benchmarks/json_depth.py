"""How the check of a JSON document's depth grows with its size, on text made to be slow: ours and a plain pattern.

A ratio near 2 for twice the bytes is linear, near 4 quadratic. The plain pattern is the one a quote without an end
defeats: it follows every quote to the end of the data.
"""

from __future__ import annotations

import itertools
import re
import runpy
import time
from collections.abc import Callable

from assets_data.lineage.errors import StemmaError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.receipts.code import ROOT
from benchmarks.result import save

PLAIN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[][{}]')
ATTACKS = {"escaped quotes": rb"\"", "quotes": b'"""', "a newline escaped": b'"a\\\n'}
SIZES = (1 << 14, 1 << 15, 1 << 16)  # bytes; the plain pattern takes most of a minute for the last
LARGE = (1 << 22, 1 << 23, 1 << 24)


def stranger() -> Callable[[bytes], object]:
    """The reader of the stand-alone verifier."""
    verifier = runpy.run_path(str(ROOT / "docs" / "verifier" / "verify_bundle.py"))

    def load(data: bytes) -> object:
        try:
            return verifier["load"](data)
        except verifier["Refused"]:
            return None

    return load


def ours(data: bytes) -> object:
    """The reader of every document in a store."""
    try:
        return load_json(data, "benchmark")
    except StemmaError:
        return None


def plain(data: bytes) -> int:
    """The scan alone, with the plain pattern."""
    return sum(1 for _ in PLAIN.finditer(data))


def seconds(read: Callable[[bytes], object], unit: bytes, size: int) -> float:
    """Processor seconds: the best of three readings of ``size`` bytes of ``unit``; of one where that takes a second."""
    data, best = (unit * (size // len(unit) + 1))[:size], float("inf")
    for _ in range(3):
        began = time.process_time()
        read(data)
        best = min(best, time.process_time() - began)
        if best > 1:
            break
    return best


def main() -> None:
    """Every reader on every attack, at three sizes each twice the one before."""
    figures: dict[str, object] = {}
    for name, read, sizes in (("plain", plain, SIZES), ("ours", ours, LARGE), ("stranger", stranger(), LARGE)):
        for attack, unit in ATTACKS.items():
            times = [seconds(read, unit, size) for size in sizes]
            figures[f"{name}, {attack}"] = {
                "bytes": list(sizes),
                "seconds": [round(value, 5) for value in times],
                "ratios": [round(b / a, 2) for a, b in itertools.pairwise(times)],
            }
    save("json_depth", [], figures)


if __name__ == "__main__":
    main()
