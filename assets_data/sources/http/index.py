"""The index: which parts there are. Fetched under its validators, kept, and every name in it checked.

A name is a relative path that stays below the base URL, reads the same on every file system, and can be read by a
reader. Nothing of it becomes a local path.
"""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from assets_data.lineage import DataError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.storage import atomic
from assets_data.sources.http.client import Client
from assets_data.sources.http.ledger import Ledger
from assets_data.sources.reader import require_readable
from assets_data.sources.unpack import unpacked

MAX_NAME = 1024
_MAX_BYTES = 256 << 20  # an index of a million parts is about 100 MB of text
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


def read_index(client: Client, ledger: Ledger) -> list[str]:
    """Part names in the server's order, those that hold the pattern; 304 costs no body. Call with the planning lease.

    Raises DataError INDEX_NAME, INDEX_EMPTY, FILE_FORMAT, UNPACK_... or FETCH_...; a refused index is not kept.
    """
    url = client.config.index_url
    kept = ledger.root / ("index.gz" if urlsplit(url).path.endswith(".gz") else "index")
    facts = _facts(kept)
    headers = {_VALIDATORS[name]: value for name, value in facts.items() if name in _VALIDATORS}
    response, data = client.read(url, headers, _MAX_BYTES)
    if response.status_code == 304 and facts:
        return _names(kept, client.config.pattern)
    if response.status_code != 200:
        raise DataError("FETCH_STATUS", "the index does not come", expected=200, found=response.status_code, where=url)
    atomic.write_bytes(kept, data)
    names = _names(kept, client.config.pattern)
    stated = {name: response.headers[name] for name in _VALIDATORS if name in response.headers}
    atomic.write_json(_facts_path(kept), {"sha256": hashlib.sha256(data).hexdigest(), **stated})
    return names


def read_digests(client: Client) -> dict[str, str]:
    """``{part name: "sha256:<hex>"}`` as the publisher states them, in the form that sha256sum writes."""
    _, data = client.read(client.config.sha256_url, {}, _MAX_BYTES)
    digests = {}
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        digest, _, name = line.partition(" ")
        if len(digest) != 64 or set(digest) - set("0123456789abcdef") or not name.strip():
            where = f"{client.config.sha256_url}:{number}"
            raise DataError("DIGEST_LINE", "a line is not a SHA-256 and a name", found=ascii(line[:80]), where=where)
        digests[name.lstrip(" *").removeprefix("./")] = f"sha256:{digest}"
    return digests


def part_url(base: str, name: str) -> str:
    """The address of a part below ``base``."""
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


def _names(path: Path, pattern: str) -> list[str]:
    names, seen = [], {}
    for number, line in enumerate(_lines(path), 1):
        name = line.strip(" \t\r")
        if not name or name.startswith("#") or pattern not in name:
            continue
        require_safe(name, f"index:{number}")
        require_readable(Path(PurePosixPath(name).name))
        twin = unicodedata.normalize("NFC", name).casefold()
        if twin in seen:
            what = f"a part's name is the same as line {seen[twin]} but for its case, or twice there"
            raise DataError("INDEX_NAME", what, found=ascii(name[:80]), where=f"index:{number}")
        seen[twin] = number
        names.append(name)
    if not names:
        raise DataError("INDEX_EMPTY", "the index names no part", found=f"pattern {pattern!r}")
    return names


def _lines(path: Path) -> list[str]:
    data = b"".join(unpacked(path, _MAX_BYTES, 1000))
    try:
        return data.decode().split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError("INDEX_NAME", "a line of the index is not UTF-8", where=f"index:{line}") from error


def _facts(kept: Path) -> dict[str, str]:
    """Validators and digest of the index that is kept; empty when there is none, or not the one they belong to."""
    path = _facts_path(kept)
    if not path.is_file() or not kept.is_file():
        return {}
    facts = load_json(path.read_bytes(), path)
    return facts if facts["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest() else {}


def _facts_path(kept: Path) -> Path:
    return kept.with_name("index.json")
