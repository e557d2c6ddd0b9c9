"""Download and decompress: an HTTP slice into a store against ``curl | zstd`` from the same loopback server.

Ours keeps the packed parts, digests them, unpacks them to the end and counts their lines; curl | zstd throws the text
away, or writes it. In turn, each round on an empty store; unpacked megabytes per wall second. The server is a process
of its own. ``python -m benchmarks.fetch [unpacked megabytes]``.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import zstandard

from assets_data.lineage import Store
from assets_data.sources.config import SourceConfig
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.source import HttpSource
from benchmarks.result import save
from tests.loopback import serving

ROUNDS = 5
PARTS = 8


def corpus(megabytes: int) -> dict[str, bytes]:
    """JSON lines of the interpreter's library, in a drawn order, as zstd parts of equal size."""
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [text for path in library for text in path.read_text(errors="replace").split("\n\n") if text.strip()]
    draw, packer = random.Random(7), zstandard.ZstdCompressor(level=3)
    parts = {}
    for number in range(PARTS):
        lines, size = [], 0
        while size < megabytes * 1_000_000 // PARTS:
            lines.append(json.dumps({"text": "\n\n".join(draw.choices(texts, k=8))}).encode() + b"\n")
            size += len(lines[-1])
        parts[f"part-{number}.jsonl.zst"] = packer.compress(b"".join(lines))
    return parts


def serve(parts: dict[str, bytes], pipe: Connection) -> None:
    """Serve the parts and their index until the pipe says stop."""
    with serving() as server:
        server.files |= {f"/{name}": data for name, data in parts.items()}
        server.files["/index.txt"] = "\n".join(parts).encode()
        pipe.send(server.url("/"))
        pipe.recv()


def fetch(base: str, root: Path) -> int:
    """One slice of all parts into an empty store; the unpacked bytes."""
    http = HttpConfig(index_url=f"{base}index.txt", private_hosts=("127.0.0.1",))
    config = SourceConfig(source="http_index", shards=1, parts_per_slice=PARTS, http=http)
    source = HttpSource(config, Store(root))
    source.parts("http-0")
    return sum(entry.unpacked or 0 for entry in source.ledger.parts())


def pipe_through(base: str, names: list[str], target: Path) -> None:
    """curl | zstd of the same parts over one connection."""
    urls = " ".join(f"{base}{name}" for name in names)
    subprocess.run(f"curl -sf {urls} | zstd -dcq > {target}", shell=True, check=True)


def timed(function, *arguments) -> float:
    """Wall seconds."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def program_versions() -> dict[str, str]:
    """What curl and zstd say of themselves."""
    lines = {
        name: subprocess.run([name, "--version"], capture_output=True, text=True).stdout for name in ("curl", "zstd")
    }
    return {name: text.strip().splitlines()[0][:60] for name, text in lines.items()}


def main(megabytes: int = 400) -> None:
    """Measure in turn and save."""
    parts = corpus(megabytes)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(parts, theirs))
    server.start()
    base = ours.recv()
    seconds: dict[str, list[float]] = {"stemma": [], "curl_zstd_to_null": [], "curl_zstd_to_file": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        unpacked = fetch(base, root / "warm")
        for number in range(ROUNDS):
            seconds["stemma"].append(timed(fetch, base, root / str(number)))
            shutil.rmtree(root / str(number))
            seconds["curl_zstd_to_null"].append(timed(pipe_through, base, list(parts), Path("/dev/null")))
            seconds["curl_zstd_to_file"].append(timed(pipe_through, base, list(parts), root / "text"))
    ours.send("stop")
    server.join()
    rates = {name: round(unpacked / 1e6 / statistics.median(times), 1) for name, times in seconds.items()}
    figures = {
        "parts": PARTS,
        "unpacked_mb": round(unpacked / 1e6, 1),
        "packed_mb": round(sum(map(len, parts.values())) / 1e6, 1),
        "rounds": ROUNDS,
        "unpacked_mb_per_s": rates,
        "over_curl_zstd_to_null": round(rates["stemma"] / rates["curl_zstd_to_null"], 2),
        "over_curl_zstd_to_file": round(rates["stemma"] / rates["curl_zstd_to_file"], 2),
        "programs": program_versions(),
    }
    save("fetch", ["httpx", "zstandard"], figures)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
