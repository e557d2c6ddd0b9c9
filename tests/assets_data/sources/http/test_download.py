"""Downloads: parts and the ranges of one part side by side, exact bytes at every size, nothing asked for twice."""

import threading

import pytest

from tests import loopback
from tests.assets_data.sources.http.corpus import part_bytes, put_corpus, put_index, source_of

PART = "/corpus/a.jsonl"


def lines(size):
    return (b'{"text": "x"}\n' * (size // 14 + 1))[:size]


def put(server, data):
    server.files[PART] = data
    put_index(server, ["a.jsonl"])


def meeting(barrier, answer):
    """Answers only when as many requests as the barrier takes are there at once."""

    def wait(handler, data):
        barrier.wait(10)
        answer(handler, data)

    return wait


@pytest.mark.parametrize("etag", ["strong", None])
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000, 70_001])
def test_the_bytes_are_exact_at_the_edges_of_ranges_with_and_without_a_validator(store, server, size, etag):
    put(server, lines(size))
    if etag is None:
        server.etags[PART] = None
    (part,) = source_of(store, server, range_bytes=1000).parts("http-0")
    assert part.path.read_bytes() == lines(size) and part.bytes == size
    if etag:
        assert part_bytes(server).get(PART, 0) == size


def test_the_ranges_of_a_large_part_come_side_by_side(store, server):
    put(server, lines(5000))
    both = meeting(threading.Barrier(2), loopback.ranged())
    server.faults[PART] = [loopback.ranged(), both, both]
    (part,) = source_of(store, server, range_bytes=1700, connections=2).parts("http-0")
    assert part.path.read_bytes() == lines(5000) and len(server.asked(PART)) == 3


def test_parts_come_side_by_side(store, server):
    names = put_corpus(server, 2)
    barrier = threading.Barrier(2)
    for name in names:
        server.faults[f"/corpus/{name}"] = [meeting(barrier, lambda handler, data: handler.honest(data))]
    assert len(source_of(store, server, parts_per_slice=2, connections=2).parts("http-0")) == 2


def test_a_weak_validator_is_none(store, server):
    put(server, lines(3000))
    server.etags[PART] = 'W/"weak"'
    (part,) = source_of(store, server, range_bytes=1000).parts("http-0")
    assert part.path.read_bytes() == lines(3000)
    assert "range" not in server.asked(PART)[-1] and not any("if-range" in headers for headers in server.asked(PART))


def test_two_slices_at_once_share_a_part_and_fetch_it_once(store, server):
    (name,) = put_corpus(server, 1)
    source = source_of(store, server, shards=2, count=20)
    assert set(source.slices()) == {"http-0", "http-1"}
    source.ledger.cached(name).unlink()
    server.sent.clear()

    def fetch():
        with source.fetcher() as fetcher:
            fetcher.present(name)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert part_bytes(server) == {f"/corpus/{name}": len(server.files[f"/corpus/{name}"])}
