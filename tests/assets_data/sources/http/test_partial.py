"""Partials: what the journal says is there is there, nothing else is, and a restart of the machine ends trust."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import processes
from assets_data.sources.http.partial import Partial, journal_of

URL = "http://host/part"


def begun(path, validator='"v1"', size=100):
    return Partial.create(path, URL, validator, size)


def write_all(path, blocks, **settings):
    partial = begun(path, **settings)
    for offset, block in blocks:
        partial.write(offset, block)
    partial.close()


def test_what_was_written_is_there_after_a_restart_of_the_process_and_the_gaps_are_known(tmp_path):
    path = tmp_path / "p"
    write_all(path, [(0, b"aaaa"), (50, b"b" * 10), (4, b"cc"), (60, b"d")])
    again = Partial.resume(path, URL)
    assert again.missing(0, 100) == [(6, 50), (61, 100)] and again.missing(52, 58) == [] and again.received == 17
    assert again.missing(55, 70) == [(61, 70)] and (again.validator, again.size) == ('"v1"', 100)
    again.write(6, b"e" * 44)
    assert again.missing(0, 100) == [(61, 100)]
    again.abandon()
    assert path.read_bytes() == b"aaaacc" + b"e" * 44 + b"b" * 10 + b"d"


@given(st.lists(st.integers(0, 9), unique=True), st.integers(0, 10), st.integers(0, 10))
def test_gaps_and_spans_make_up_every_range(tmp_path_factory, order, begin, end):
    path = tmp_path_factory.mktemp("p") / "p"
    partial = begun(path)
    for offset in order:
        partial.write(offset, b"x")
    missing = {at for low, high in partial.missing(begin, end) for at in range(low, high)}
    assert missing == set(range(begin, end)) - set(order)
    partial.abandon()


def test_a_line_that_a_kill_cut_does_not_count(tmp_path):
    path = tmp_path / "p"
    write_all(path, [(0, b"aaaa"), (10, b"bbbb")])
    journal_of(path).write_bytes(journal_of(path).read_bytes()[:-1])
    assert Partial.resume(path, URL).missing(0, 20) == [(4, 20)]


@pytest.mark.parametrize(
    ("member", "value"), [("url", "http://host/other"), ("validator", None), ("size", None), ("boot", "another")]
)
def test_what_cannot_be_continued_is_removed(tmp_path, member, value):
    path = tmp_path / "p"
    write_all(path, [(0, b"aaaa")])
    head, rest = journal_of(path).read_text().split("\n", 1)
    journal_of(path).write_text(json.dumps({**json.loads(head), member: value}) + "\n" + rest)
    assert Partial.resume(path, URL) is None and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("journal", [b"", b"\n", b"{}\n", b'{"url": 1\n', b"\xff\n", None])
def test_a_journal_that_says_nothing_is_not_believed(tmp_path, journal):
    path = tmp_path / "p"
    write_all(path, [(0, b"aaaa")])
    journal_of(path).unlink() if journal is None else journal_of(path).write_bytes(journal)
    assert Partial.resume(path, URL) is None and list(tmp_path.iterdir()) == []


def test_where_the_boot_is_unknown_nothing_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "PROC", tmp_path / "no-such-folder")
    write_all(tmp_path / "p", [(0, b"aaaa")])
    assert Partial.resume(tmp_path / "p", URL) is None
