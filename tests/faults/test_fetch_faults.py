"""What a server, a network or a kill can do to a download, by the rows of the fault table."""

import dataclasses
import gzip
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import zstandard

from assets_data.lineage import DataError, IntegrityError, Store, digest_bytes, to_dict
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.sources import open_source
from tests import loopback
from tests.assets_data.sources.http.corpus import INDEX, config_of, part_bytes, put_corpus, put_index, source_of
from tests.faults.one_part import DATA, PART, fetched, leftovers, refusal

# --- F01 .. F05: bodies that are cut, encoded, or another object's ---


def test_f01_a_body_shorter_than_its_length_is_continued_by_range(store, part):
    part.faults[PART] = [loopback.cut(100_000)]
    assert fetched(store, part) == DATA and leftovers(store) == []
    _first, second = part.asked(PART)
    assert second["range"].startswith("bytes=") and second["if-range"].startswith('"')
    assert int(second["range"][6:].split("-")[0]) >= 65_536 and part.sent[PART] < len(DATA) + 65_536


def test_f01_a_body_that_breaks_off_every_time_is_refused_and_what_came_is_kept(store, part):
    part.faults[PART] = [loopback.cut(50_000)] * 9
    assert refusal(store, part).code == "FETCH_BROKEN" and len(part.asked(PART)) <= 4
    part.faults[PART].clear()
    part.sent.clear()
    assert fetched(store, part) == DATA and part.sent[PART] <= len(DATA) - 50_000


def test_f01_an_end_that_cannot_be_told_from_a_cut_is_refused_unless_a_digest_decides(store, part, tmp_path):
    part.faults[PART] = [loopback.unsized(1000)] * 2
    assert fetched(store, part) == DATA  # healed by an honest third answer
    other = Store(tmp_path / "other")
    part.faults[PART] = [loopback.unsized(len(DATA))] * 3
    assert refusal(other, part).code == "FETCH_NO_LENGTH"
    part.files["/corpus/sums"] = f"{digest_bytes(DATA)[7:]}  a.jsonl\n".encode()
    part.faults[PART] = [loopback.unsized(len(DATA)), loopback.status(403)]  # a second request would be refused
    assert fetched(Store(tmp_path / "third"), part, sha256_url=part.url("/corpus/sums")) == DATA


def test_f02_a_coding_nobody_asked_for_is_refused_cut_or_whole(store, part):
    packed = gzip.compress(DATA)
    for sent in (packed, packed[:-100]):
        part.faults[PART] = [loopback.encoded("gzip", sent)]
        assert refusal(store, part).code == "FETCH_ENCODED"
    assert all(headers["accept-encoding"] == "identity" for path, headers in part.requests)


def test_f02_a_cut_index_is_refused_and_not_kept(store, part):
    url = part.url("/corpus/index.gz")
    packed = gzip.compress(part.files[INDEX])
    part.files["/corpus/index.gz"] = packed[:-5]
    config = config_of(part)
    config = dataclasses.replace(config, http=dataclasses.replace(config.http, index_url=url))
    source = open_source(config, store)
    with pytest.raises(DataError, match="UNPACK_TRUNCATED"):
        source.slices()
    part.files["/corpus/index.gz"] = packed
    assert source.slices() == {"http-0": ["a.jsonl"]}


def test_f03_a_resume_answered_with_everything_starts_over(store, part):
    part.faults[PART] = [loopback.cut(100_000), loopback.whole]
    assert fetched(store, part) == DATA


def test_f03_a_server_without_ranges_gives_the_exact_bytes_whole_or_broken(store, part, tmp_path):
    part.faults[PART] = [loopback.whole]
    assert fetched(store, part, range_bytes=50_000) == DATA and len(part.asked(PART)) == 1
    part.faults[PART] = [loopback.cut(60_000), loopback.whole, loopback.whole]
    assert fetched(Store(tmp_path / "other"), part, range_bytes=50_000) == DATA


@pytest.mark.parametrize("fault", [loopback.ranged(shift=7), loopback.ranged(shorter=9)], ids=["shifted", "short"])
@pytest.mark.parametrize("honest_first", [True, False])
def test_f04_another_range_than_the_one_asked_for_is_discarded(store, part, fault, honest_first):
    part.faults[PART] = [*([loopback.ranged()] if honest_first else []), fault]
    assert fetched(store, part, range_bytes=100_000, connections=1) == DATA
    assert "range" not in part.asked(PART)[-1]  # its ranges are not trusted again


def test_f05_an_object_that_changes_between_two_ranges_is_fetched_anew(store, part):
    new = DATA[::-1].replace(b"\n", b" ")[: len(DATA) - 1] + b"\n"

    def change(handler, data):
        handler.server.files[PART] = new
        handler.honest(new)

    part.faults[PART] = [loopback.ranged(), loopback.ranged(), change]
    assert fetched(store, part, range_bytes=100_000, connections=1) == new


def test_f05_a_part_that_changed_on_the_server_is_refused_naming_both_digests(store, part):
    source = source_of(store, part)
    (kept,) = source.parts("http-0")
    kept.path.unlink()
    other = part.files[PART] = DATA.replace(b"row 7:", b"row 8:")
    with pytest.raises(IntegrityError) as error:
        list(source.records(kept, Counter()))
    assert error.value.code == "FETCH_DIGEST"
    assert digest_bytes(DATA) in str(error.value) and digest_bytes(other) in str(error.value)
    assert source.ledger.part("a.jsonl").sha256 == digest_bytes(DATA)
    part.files[PART] = DATA
    assert len(list(source.records(kept, Counter()))) == 2000 and kept.path.read_bytes() == DATA


# --- F06, F07: servers that make one wait ---


def test_f06_busy_answers_are_waited_for_as_asked(store, part):
    part.faults[PART] = [loopback.status(429, Retry_After="1"), loopback.status(503)]
    started = time.monotonic()
    assert fetched(store, part) == DATA and time.monotonic() - started >= 1


def test_f06_a_wait_beyond_the_bound_is_refused_at_once(store, part):
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    for asked in ("3600", tomorrow):
        part.faults[PART] = [loopback.status(503, Retry_After=asked)]
        error = refusal(store, part, max_wait_s=2.0)
        assert error.code == "FETCH_BUSY" and "asks for" in str(error)
    assert len(part.asked(PART)) == 2


def test_f06_what_is_no_matter_of_waiting_is_not_tried_again(store, part):
    part.faults[PART] = [loopback.status(403)]
    assert refusal(store, part).code == "FETCH_STATUS" and len(part.asked(PART)) == 1


@pytest.mark.parametrize("fault", [loopback.stall(1000), loopback.trickle, loopback.trickle_head])
def test_f07_a_stall_a_trickle_and_an_endless_head_end_at_the_deadline_and_free_their_thread(store, part, fault):
    part.faults[PART] = [fault] * 9
    assert refusal(store, part, timeout_s=0.3, tries=1).code == "FETCH_DEADLINE"
    assert not any(thread.name.startswith("stemma-") for thread in threading.enumerate())
    part.faults[PART].clear()
    assert fetched(store, part) == DATA


# --- F08: honest frames around wrong bytes ---


def test_f08_wrong_bytes_of_the_right_length_are_quarantined_and_the_next_run_heals(store, part):
    part.files["/corpus/sums"] = f"{digest_bytes(DATA)[7:]} *./a.jsonl\n".encode()
    sums = part.url("/corpus/sums")
    part.faults[PART] = [loopback.body(DATA[:-2] + b"x\n")]
    error = refusal(store, part, IntegrityError, sha256_url=sums)
    assert error.code == "FETCH_DIGEST" and digest_bytes(DATA) in str(error)
    (reason,) = (store.root / "quarantine").glob("*.json")
    assert json.loads(reason.read_text())["code"] == "FETCH_DIGEST" and leftovers(store) == []
    assert fetched(store, part, sha256_url=sums) == DATA


def test_f08_a_web_page_in_place_of_a_part_is_refused(store, part):
    part.faults[PART] = [loopback.body(b"<html>sorry</html>", "text/html; charset=utf-8")]
    assert refusal(store, part).code == "FETCH_PAGE"
    assert fetched(store, part) == DATA


def test_f08_a_part_without_a_stated_digest_is_refused_when_digests_are_stated(store, part):
    part.files["/corpus/sums"] = f"{digest_bytes(DATA)[7:]}  b.jsonl\n".encode()
    assert refusal(store, part, sha256_url=part.url("/corpus/sums")).code == "DIGEST_MISSING"
    part.files["/corpus/sums"] = b"not a digest\n"
    assert refusal(store, part, sha256_url=part.url("/corpus/sums")).code == "DIGEST_LINE"


@pytest.mark.parametrize(("suffix", "pack"), [(".zst", zstandard.compress), (".gz", gzip.compress)])
def test_f10_a_part_whose_frame_is_cut_is_never_pinned_and_the_next_run_fetches_it_again(store, server, suffix, pack):
    path = f"/corpus/a.jsonl{suffix}"
    put_index(server, [f"a.jsonl{suffix}"])
    server.files[path] = pack(DATA)
    server.faults[path] = [loopback.body(pack(DATA)[:-4])]
    source = source_of(store, server)
    with pytest.raises(DataError, match="UNPACK_TRUNCATED"):
        source.parts("http-0")
    assert source.ledger.parts() == [] and list((store.root / "quarantine").glob("*.json"))
    source.parts("http-0")
    assert source.ledger.part(f"a.jsonl{suffix}").lines == 2000


# --- F09: SIGKILL ---


def kill_and_heal(server, folder, *moments):
    """The size of the parts. Every moment's child was killed, left one partial at most, and was healed."""
    names = put_corpus(server, 2, count=4000, packed=False)
    config = config_of(server, parts_per_slice=2, connections=1, range_bytes=300_000)
    command = [sys.executable, "-m", "tests.faults.fetch_kill", str(folder), json.dumps(to_dict(config)), *moments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    undisturbed, *healed = map(json.loads, result.stdout.splitlines())
    assert undisturbed["status"] == 0 and len(healed) == len(moments), result.stderr
    for moment, facts in zip(moments, healed, strict=True):
        partials = [name for name in facts["left"] if name.startswith("partial-") and not name.endswith(".journal")]
        assert facts["killed"] == -signal.SIGKILL and len(partials) <= 1, moment
        assert facts["id"] == undisturbed["id"] and facts["after"] == [], moment
    return sum(len(server.files[f"/corpus/{name}"]) for name in names)


def test_f09_killed_in_a_body_the_rest_comes_by_range(server, tmp_path):
    size = kill_and_heal(server, tmp_path, "b0.5")
    assert sum(part_bytes(server).values()) < size * 2.3  # one undisturbed fetch, one in two halves
    assert any("if-range" in headers for _, headers in server.requests)


def test_f09_killed_between_two_changes_of_the_store_it_heals(server, tmp_path):
    kill_and_heal(server, tmp_path, "e0.3", "e0.6", "e0.65")


@pytest.mark.slow
def test_f09_killed_at_20_random_points_it_heals(server, tmp_path):
    draw = random.Random(9)
    kill_and_heal(server, tmp_path, *(f"{draw.choice('be')}{draw.random():.4f}" for _ in range(20)))
