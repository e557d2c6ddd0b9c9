"""A small real corpus on the loopback server, and settings that fetch it quickly."""

from __future__ import annotations

import json
import random

import zstandard

from assets_data.lineage import Store
from assets_data.sources.config import SourceConfig
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.source import HttpSource
from tests.loopback import Loopback

INDEX = "/corpus/index.txt"


def rows(part: int, count: int = 40) -> list[str]:
    """Distinct texts that do not compress to nothing."""
    draw = random.Random(part)
    return [f"part {part} row {row}: {draw.randbytes(90).hex()}" for row in range(count)]


def jsonl(texts: list[str]) -> bytes:
    """Texts as JSON lines."""
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def put_corpus(server: Loopback, parts: int, count: int = 40, packed: bool = True) -> list[str]:
    """Parts ``train/part-00.jsonl.zst`` and so on, and their index; the names."""
    suffix = ".jsonl.zst" if packed else ".jsonl"
    names = [f"train/part-{number:02}{suffix}" for number in range(parts)]
    for number, name in enumerate(names):
        data = jsonl(rows(number, count))
        server.files[f"/corpus/{name}"] = zstandard.compress(data) if packed else data
    put_index(server, names)
    return names


def put_index(server: Loopback, lines: list[str]) -> None:
    """The index, with a comment and an empty line."""
    server.files[INDEX] = ("# parts\n\n" + "\n".join(lines) + "\n").encode()


def config_of(server: Loopback, shards: int = 3, parts_per_slice: int = 1, **http) -> SourceConfig:
    """The server's corpus; waits and deadlines are short."""
    settings = {"wait_s": 0.01, "timeout_s": 5.0, "private_hosts": ("127.0.0.1",), "connections": 2, **http}
    http_config = HttpConfig(index_url=server.url(INDEX), **settings)
    return SourceConfig(source="http_index", shards=shards, parts_per_slice=parts_per_slice, http=http_config)


def source_of(store: Store, server: Loopback, **settings) -> HttpSource:
    """The source itself."""
    return HttpSource(config_of(server, **settings), store)


def texts_of(raw) -> list[str]:
    """The texts of a raw slice, in order."""
    return raw.table("records.parquet")["text"].to_pylist()


def part_bytes(server: Loopback) -> dict[str, int]:
    """Body bytes on the wire per part; the index is not one."""
    return {path: sent for path, sent in server.sent.items() if path != INDEX and sent}
