"""The index: which parts there are. Fetched under its validators, kept, and every name in it checked.

A name is a path that stays below the base URL (of an address on the same host: below that host, with a slash before
it) and reads the same on every file system. Nothing of it becomes a local path, and a query is no part of it: it may
hold a signature, so it is read from the kept index when a part is asked for, and written nowhere else.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from assets_data.lineage import DataError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.sources.formats import format_of, packing_of, readable_names
from assets_data.sources.http.client import Client
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.ledger import Ledger
from assets_data.sources.left_out import LeftOut
from assets_data.sources.unpack import unpacked

MAX_NAME = 1024
_MAX_BYTES = 256 << 20  # an index of a million parts is about 100 MB of text
_LEFT_OUT = "left_out.json"
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


def read_index(client: Client, ledger: Ledger) -> list[str]:
    """Part names in the server's order, those that hold the pattern; 304 costs no body. Call with the planning lease.

    Names that nobody reads (a README, a notebook) are left out, and noted beside the ledger. Raises DataError
    INDEX_NAME, INDEX_EMPTY, FILE_FORMAT, UNPACK_... or FETCH_...; a refused index is not kept.
    """
    url = client.config.index_url
    kept = _kept(client.config, ledger)
    facts = _facts(kept)
    headers = {_VALIDATORS[name]: value for name, value in facts.items() if name in _VALIDATORS}
    response, data = client.read(url, headers, _MAX_BYTES)
    if response.status_code == 304 and facts:
        return _names(kept, client.config, ledger)
    if response.status_code != 200:
        raise DataError("FETCH_STATUS", "the index does not come", expected=200, found=response.status_code, where=url)
    atomic.write_bytes(kept, data)
    names = _names(kept, client.config, ledger)
    stated = {name: response.headers[name] for name in _VALIDATORS if name in response.headers}
    atomic.write_json(_facts_path(kept), {"sha256": hashlib.sha256(data).hexdigest(), **stated})
    return names


def read_digests(client: Client) -> dict[str, str]:
    """``{part name: "sha256:<hex>"}`` as the publisher states them, in the form that sha256sum writes."""
    _, data = client.read(client.config.sha256_url, {}, _MAX_BYTES)
    digests = {}
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
        digest, _, name = line.partition(" ")
        if len(digest) != 64 or set(digest) - set("0123456789abcdef") or not name.strip():
            where = f"{client.config.sha256_url}:{number}"
            raise DataError("DIGEST_LINE", "a line is not a SHA-256 and a name", found=ascii(line[:80]), where=where)
        digests[name.lstrip(" *").removeprefix("./")] = f"sha256:{digest}"
    return digests


def read_left_out(ledger: Ledger) -> dict[str, Any]:
    """What the index named that nobody reads, as :class:`LeftOut` counts it; empty when there is nothing of it."""
    path = ledger.root / _LEFT_OUT
    return load_json(path.read_bytes(), path) if path.is_file() else {}


def read_queries(config: HttpConfig, ledger: Ledger) -> dict[str, str]:
    """``{part name: "?query"}`` of the kept index, for the parts that have one."""
    kept = _kept(config, ledger)
    if not kept.is_file():
        return {}
    return {name: f"?{query}" for _, name, query in _entries(kept, config) if query}


def part_url(base: str, name: str) -> str:
    """The address of a part below ``base``, or below its host when the name begins with a slash."""
    if name.startswith("/"):
        base = "{0.scheme}://{0.netloc}".format(urlsplit(base))
    return base + quote(name, safe="/%:@!$&'()*+,;=~-._")


def require_safe(name: str, where: str) -> None:
    """Raise DataError INDEX_NAME for a name that is no plain relative path, as it is or with its %-codes resolved."""
    for text in (name, unquote(name)):
        parts = text.split("/")
        broken = (
            "too long" * (len(text) > MAX_NAME)
            or "not printable" * (not text.isprintable())
            or "a backslash" * ("\\" in text)
            or "an address, a query or a fragment" * ("://" in text or "?" in text or "#" in text)
            or "absolute" * (text.startswith("/") or parts[0][1:2] == ":")
            or "an empty or dotted step" * any(part in ("", ".", "..") for part in parts)
        )
        if broken:
            action = "correct the index, or leave the part out by http.pattern"
            raise DataError(
                "INDEX_NAME", f"a part's name is {broken}", found=ascii(name[:80]), where=where, action=action
            )


def _names(path: Path, config: HttpConfig, ledger: Ledger) -> list[str]:
    names, seen, strays = [], {}, LeftOut()
    for number, name, _ in _entries(path, config):
        twin = unicodedata.normalize("NFC", name).casefold()
        if twin in seen:
            what = f"a part's name is the same as line {seen[twin]} but for its case or query, or twice there"
            raise DataError("INDEX_NAME", what, found=ascii(name[:80]), where=f"index:{number}")
        seen[twin] = number
        if format_of(name) is None:
            strays.add("no reader", name)
        else:
            names.append(name)
    if not names and strays.found:
        what = "no reader for any part of the index"
        raise DataError("FILE_FORMAT", what, expected=readable_names(), found=str(strays))
    if not names:
        raise DataError("INDEX_EMPTY", "the index names no part", found=f"pattern {config.pattern!r}")
    noted = ledger.root / _LEFT_OUT
    if strays.found:
        atomic.write_json(noted, strays.found)
    else:
        noted.unlink(missing_ok=True)
    return names


def _entries(path: Path, config: HttpConfig) -> Iterator[tuple[int, str, str]]:
    """``(line number, name, query)`` of the parts whose name holds the pattern."""
    for number, line in enumerate(_lines(path), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        where = f"index:{number}"
        rest, _, query = line.partition("?")
        name = _own(rest, config.base, where) if "://" in rest else rest
        if config.pattern not in name:
            continue
        require_safe(name.removeprefix("/") if "://" in rest else name, where)
        if not query.isprintable() or not query.isascii() or "#" in query or " " in query:
            raise DataError("INDEX_NAME", "a part's query is not one", found=ascii(name[:80]), where=where)
        yield number, name, query


def _own(address: str, base: str, where: str) -> str:
    """The name of a part that the index gives by its whole address. Raises DataError INDEX_NAME for another host's."""
    own, found = urlsplit(base), urlsplit(address[: 2 * MAX_NAME])
    if (own.scheme, own.netloc) != (found.scheme, found.netloc):
        action = "set http.base_url to where the parts are; parts of several hosts are several sources"
        host = ascii(f"{found.scheme}://{found.netloc.rpartition('@')[2]}"[:80])
        expected = f"{own.scheme}://{own.netloc}"
        what = "a part's address is another host's"
        raise DataError("INDEX_NAME", what, expected=expected, found=host, where=where, action=action)
    path = address.partition("://")[2].removeprefix(found.netloc)
    return path.removeprefix(own.path) if path.startswith(own.path) else path


def _lines(path: Path) -> list[str]:
    data = b"".join(unpacked(path, _MAX_BYTES, 1000))
    try:
        return data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError("INDEX_NAME", "a line of the index is not UTF-8", where=f"index:{line}") from error


def _kept(config: HttpConfig, ledger: Ledger) -> Path:
    suffixes = {"gzip": ".gz", "zstd": ".zst"}
    return ledger.root / f"index{suffixes.get(packing_of(urlsplit(config.index_url).path), '')}"


def _facts(kept: Path) -> dict[str, str]:
    """Validators and digest of the index that is kept; empty when there is none, or not the one they belong to."""
    path = _facts_path(kept)
    if not path.is_file() or not kept.is_file():
        return {}
    facts = load_json(path.read_bytes(), path)
    return facts if facts["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest() else {}


def _facts_path(kept: Path) -> Path:
    return kept.with_name("index.json")
