"""Hostile names, bombs, redirects and credentials on the way of a download, by the rows of the fault table."""

import gzip
import ipaddress
import logging
import subprocess
import sys
from collections import Counter

import httpx
import pytest
import zstandard

from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.lineage import ConfigError, DataError, StemmaError
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.http.client import Client
from assets_data.sources.http.config import HttpConfig
from assets_data.sources.http.fetcher import Fetcher
from assets_data.sources.http.network import is_public
from tests import loopback
from tests.assets_data.sources.http.corpus import config_of, part_bytes, put_corpus, put_index, source_of
from tests.faults.one_part import DATA, PART, fetched, refusal

# --- S04, S06, S08, S09, S10: hostile names, bombs, redirects, credentials ---

HOSTILE = [
    "../a.jsonl",
    "a/../../b.jsonl",
    "a/./b.jsonl",
    "a//b.jsonl",
    "/etc/a.jsonl",
    "C:/a.jsonl",
    "https://elsewhere/a.jsonl",
    "a\\..\\b.jsonl",
    "%2e%2e/a.jsonl",
    "a%2f..%2fb.jsonl",
    "a%00.jsonl",
    "a%5cb.jsonl",
    "a\x00.jsonl",
    "a\x1b[31m.jsonl",
    "a.jsonl?token=1",
    "x" * 5000 + ".jsonl",
    "A.jsonl\na.jsonl",
    "stra\u00dfe.jsonl\nSTRASSE.jsonl",
    "a.jsonl\na.jsonl",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_s04_a_name_that_is_no_plain_path_is_refused_before_anything_is_fetched(store, server, name):
    put_index(server, ["fine.jsonl", *name.split("\n")])
    with pytest.raises(DataError) as error:
        source_of(store, server).slices()
    assert error.value.code == "INDEX_NAME" and part_bytes(server) == {}
    assert str(error.value).isprintable() and len(str(error.value)) < 500


def test_s04_no_name_becomes_a_path_and_a_planted_link_is_not_followed(store, server, tmp_path):
    (name,) = put_corpus(server, 1)
    source = source_of(store, server)
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    source.ledger.cached(name).parent.mkdir(parents=True)
    for planted in (source.ledger.cached(name), source.ledger.partial(name)):
        planted.symlink_to(outside)
    (part,) = source.parts("http-0")
    assert outside.read_bytes() == b"precious" and not part.path.is_symlink()
    assert part.path.parent == source.ledger.root / "cache" and "part" not in part.path.name
    part.require_unchanged()
    outside.write_bytes(part.path.read_bytes())
    part.path.unlink()
    part.path.symlink_to(outside)  # the right bytes, but whoever owns them can change them
    source.parts("http-0")
    list(source.records(part, Counter()))
    assert not part.path.is_symlink() and outside.exists()


@pytest.mark.parametrize(("suffix", "declared"), [(".zst", True), (".zst", False), (".gz", False)])
def test_s06_a_bomb_is_stopped_at_either_cap_under_64_mb(tmp_path, suffix, declared):
    zeros = bytes(256 << 20)
    packer = zstandard.ZstdCompressor(write_content_size=declared)
    (tmp_path / f"bomb{suffix}").write_bytes(packer.compress(zeros) if suffix == ".zst" else gzip.compress(zeros, 9))
    del zeros
    script = f"""
import resource, sys
from pathlib import Path
from assets_data.sources.unpack import unpacked
from assets_data.lineage import DataError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for caps in ((32 << 20, 1 << 40), (1 << 40, 100)):
    try:
        for _ in unpacked(Path({str(tmp_path / f"bomb{suffix}")!r}), *caps): pass
    except DataError as error:
        print(error.code)
print((peak() - before) >> 10)
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    first, second, grown_mib = result.stdout.split()
    assert (first, second) == ("UNPACK_CAP", "UNPACK_CAP") and int(grown_mib) < 64


def test_s06_a_part_larger_than_allowed_is_refused_before_and_while_it_comes(store, part):
    assert refusal(store, part, max_part_bytes=1000).code == "FETCH_TOO_LARGE"
    part.faults[PART] = [loopback.unsized(len(DATA))]
    assert refusal(store, part, max_part_bytes=100_000).code == "FETCH_TOO_LARGE"
    assert part.sent[PART] < len(DATA) * 3


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("file:///etc/passwd", "FETCH_SCHEME"),
        ("ftp://127.0.0.1/a", "FETCH_SCHEME"),
        ("//192.0.2.1/a", "FETCH_HOST"),
        ("http://169.254.169.254/latest/meta-data", "FETCH_HOST"),
        ("http://127.0.0.1:1/a", "FETCH_HOST"),
        ("http://localhost:{port}/corpus/a.jsonl", "FETCH_PRIVATE"),
        ("/corpus/a.jsonl", "FETCH_REDIRECTS"),
    ],
)
def test_s08_a_redirect_to_what_nobody_allowed_is_refused(store, part, location, code):
    location = location.format(port=part.server_port)
    part.faults[PART] = [loopback.redirect(location)] * 9
    assert refusal(store, part, allowed_hosts=(f"localhost:{part.server_port}",)).code == code


def test_s08_the_first_address_is_checked_too(store, part):
    error = refusal_of_slices(store, part, private_hosts=())
    assert error.code == "FETCH_PRIVATE" and part.requests == []


def refusal_of_slices(store, server, **http):
    with pytest.raises(StemmaError) as error:
        source_of(store, server, **http).slices()
    return error.value


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "0.0.0.0"])
def test_s08_addresses_that_are_not_public_are_known(address):
    assert not is_public(address) and is_public("93.184.215.14") and is_public("2606:4700::1111")
    assert is_public("::ffff:93.184.215.14")


PRIVATE_V4 = ("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "172.16.0.1", "100.64.0.1", "224.0.0.1")
FORMS = {
    "mapped": lambda v4: f"::ffff:{v4}",
    "compatible": lambda v4: f"::{v4}",
    "translated": lambda v4: f"::ffff:0:{v4}",
    "nat64": lambda v4: f"64:ff9b::{v4}",
    "local nat64": lambda v4: f"64:ff9b:1::{v4}",
    "6to4": lambda v4: str(ipaddress.IPv6Address(0x2002 << 112 | int(ipaddress.IPv4Address(v4)) << 80 | 1)),
    "teredo client": lambda v4: teredo("93.184.215.14", v4),
    "teredo server": lambda v4: teredo(v4, "93.184.215.14"),
    "isatap": lambda v4: f"2606:4700::5efe:{v4}",
    "isatap, universal": lambda v4: f"2606:4700::200:5efe:{v4}",
}


def teredo(server, client):
    address = 0x20010000 << 96 | int(ipaddress.IPv4Address(server)) << 64 | 0xFFFFFFFF
    return str(ipaddress.IPv6Address(address & ~0xFFFFFFFF | int(ipaddress.IPv4Address(client)) ^ 0xFFFFFFFF))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("v4", PRIVATE_V4)
def test_s08_no_ipv6_form_makes_a_private_address_public(form, v4):
    assert not is_public(FORMS[form](v4))


@pytest.mark.parametrize("address", ["fec0::1", "feff::1", "fc00::1", "ff02::1", "::"])
def test_s08_site_local_and_its_kin_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("form", ["mapped", "nat64", "6to4", "isatap"])
def test_s08_a_public_address_stays_public_in_the_forms_that_are_routed(form):
    assert is_public(FORMS[form]("93.184.215.14"))


def test_s08_an_allowed_redirect_is_followed(store, part):
    part.faults[PART] = [loopback.redirect(f"http://localhost:{part.server_port}/corpus/b.jsonl?signature=canary")]
    part.files["/corpus/b.jsonl"] = DATA
    hosts = {"allowed_hosts": (f"localhost:{part.server_port}",), "private_hosts": ("127.0.0.1", "localhost")}
    assert fetched(store, part, **hosts) == DATA


def test_s08_https_is_not_left_for_http():
    config = HttpConfig(index_url="https://host/index")
    client = Client(config)
    client._client = httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(302, headers={"location": "http://host/x"}))
    )
    with pytest.raises(DataError, match="FETCH_SCHEME"), client.opened("https://host/index", {}):
        pass


def test_s09_s10_authorization_goes_to_the_named_origins_only_and_is_written_nowhere(store, part, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CORPUS_AUTH", "Bearer canary-secret")
    with loopback.serving() as other:
        other.files["/a.jsonl"] = DATA
        part.faults[PART] = [loopback.redirect(f"http://localhost:{other.server_port}/a.jsonl?sig=canary-secret")]
        host = f"localhost:{other.server_port}"
        settings = {"allowed_hosts": (host,), "private_hosts": ("127.0.0.1", "localhost"), "auth_env": "CORPUS_AUTH"}
        raw = make_raw_slice(store, "http-0", config_of(part, **settings))
        assert all(headers["authorization"] == "Bearer canary-secret" for _, headers in part.requests)
        assert len(other.requests) == 1 and "authorization" not in other.requests[0][1]
        other.faults["/b.jsonl"] = [loopback.status(403)]
        part.faults["/corpus/b.jsonl"] = [loopback.redirect(f"http://{host}/b.jsonl?sig=canary-secret")]
        put_index(part, ["a.jsonl", "b.jsonl"])
        with pytest.raises(DataError) as error:
            make_raw_slice(store, "http-1", config_of(part, **settings))
    assert error.value.code == "FETCH_STATUS" and "canary" not in f"{error.value}{caplog.text}"
    kept = [path for path in store.root.rglob("*") if path.is_file() and b"canary-secret" in path.read_bytes()]
    assert raw.stats["rows"] == 2000 and kept == []


def test_s09_authorization_is_not_sent_again_after_a_hop_away_and_back(store, part, monkeypatch):
    monkeypatch.setenv("CORPUS_AUTH", "Bearer canary-secret")
    with loopback.serving() as other:
        back = part.url("/corpus/b.jsonl")
        other.faults["/hop"] = [loopback.redirect(back)]
        part.files["/corpus/b.jsonl"] = DATA
        part.faults[PART] = [loopback.redirect(f"http://localhost:{other.server_port}/hop")]
        settings = {"allowed_hosts": (f"localhost:{other.server_port}",), "private_hosts": ("127.0.0.1", "localhost")}
        assert fetched(store, part, **settings, auth_env="CORPUS_AUTH") == DATA
    assert ["authorization" in headers for headers in part.asked("/corpus/b.jsonl")] == [False]


@pytest.mark.parametrize("value", ["", "Bearer canary\nX-Other: 1"])
def test_s10_an_unusable_credential_is_refused_without_showing_it(store, part, monkeypatch, value):
    monkeypatch.setenv("CORPUS_AUTH", value)
    with pytest.raises(ConfigError, match="CORPUS_AUTH") as error:
        Fetcher(store, source_of(store, part).ledger, config_of(part, auth_env="CORPUS_AUTH").http)
    assert "canary" not in str(error.value)
