"""Text for the benchmarks, as JSON lines: real (the sources of this Python and its packages), or made in any amount."""

from __future__ import annotations

import json
import random
import sysconfig
from pathlib import Path

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import Snapshot, Store
from assets_data.sources.config import FilesConfig, SourceConfig

DOCUMENT_CHARS = 20_000
LINES, WORDS = 20_000, 8_000


def write_library(path: Path, megabytes: float) -> None:
    """Python sources of the standard library and the installed packages, in documents of at most DOCUMENT_CHARS."""
    paths = sysconfig.get_paths()
    files = [file for key in ("stdlib", "purelib") for file in sorted(Path(paths[key]).rglob("*.py"))]
    left = int(megabytes * 1e6)
    with open(path, "w", encoding="ascii") as target:
        for file in files:
            text = file.read_text("utf-8", errors="replace")
            for begin in range(0, len(text), DOCUMENT_CHARS):
                left -= len(text[begin : begin + DOCUMENT_CHARS].encode())
                target.write(json.dumps({"text": text[begin : begin + DOCUMENT_CHARS]}) + "\n")
                if left <= 0:
                    return
    raise SystemExit(f"this installation has {left / 1e6:.0f} MB of Python too few; ask for less")


def write_made(path: Path, megabytes: float) -> None:
    """Documents of 40 lines of common words (Zipf), each document another one. About 4 kB each.

    No document brings a word of its own: its number is written in words.
    """
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(WORDS)]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    pool = [" ".join(rng.choices(words, weights, k=16)) for _ in range(LINES)]
    left, number = int(megabytes * 1e6), 0
    with open(path, "w", encoding="ascii") as target:
        while left > 0:
            name = " ".join(words[number // WORDS**digit % WORDS] for digit in range(3))
            text = f"document {name}\n" + "\n".join(rng.choices(pool, k=40))
            target.write(json.dumps({"text": text}) + "\n")
            left, number = left - len(text), number + 1


def raw_slice_of(store: Store, path: Path) -> Snapshot:
    """One raw slice of a JSON lines file."""
    files = FilesConfig(root=str(path.parent), patterns=(path.name,))
    return make_raw_slice(store, "files-0", SourceConfig(source="files", shards=1, files=files))
