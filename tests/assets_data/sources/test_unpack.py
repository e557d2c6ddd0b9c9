"""Unpacking: whole frames come back exactly; anything cut, damaged, followed by more or far too large is refused."""

import gzip
import random

import pytest
import zstandard

from assets_data.lineage import DataError
from assets_data.sources.unpack import BLOCK_BYTES, unpacked

PACK = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}
LARGE = 1 << 40
# Random bytes make several packed blocks, the run of zeros one packed block that unfolds to several pieces.
PAYLOAD = random.Random(1).randbytes(3 * BLOCK_BYTES) + bytes(5 * BLOCK_BYTES) + b"end"

packings = pytest.mark.parametrize("suffix", PACK)


def unpack(path, data, max_bytes=LARGE, max_ratio=LARGE):
    path.write_bytes(data)
    return b"".join(unpacked(path, max_bytes, max_ratio))


def refusal(path, data, **caps):
    with pytest.raises(DataError, match=path.name) as error:
        unpack(path, data, **caps)
    return error.value.code


@pytest.mark.parametrize("payload", [PAYLOAD, b"", b"x", bytes(BLOCK_BYTES), PAYLOAD[:BLOCK_BYTES]], ids=len)
@packings
def test_a_whole_frame_comes_back_exactly(tmp_path, suffix, payload):
    assert unpack(tmp_path / f"a{suffix}", PACK[suffix](payload)) == payload


def test_a_plain_file_is_read_as_it_is(tmp_path):
    assert unpack(tmp_path / "a.jsonl", PAYLOAD, max_bytes=1, max_ratio=1) == PAYLOAD


@pytest.mark.parametrize("kept", [0, 1, 5, 0.3, 0.5, 0.9, -9, -8, -4, -3, -1])
@packings
def test_f10_a_truncated_frame_is_refused_wherever_it_is_cut(tmp_path, suffix, kept):
    packed = PACK[suffix](PAYLOAD)
    cut = packed[: int(len(packed) * kept) if isinstance(kept, float) else kept]
    assert refusal(tmp_path / f"a{suffix}", cut) == "UNPACK_TRUNCATED"


def test_f10_a_truncated_zstd_frame_without_checksum_is_refused_although_it_decodes_to_whole_blocks(tmp_path):
    packed = zstandard.ZstdCompressor(write_checksum=False, write_content_size=False).compress(PAYLOAD)
    with zstandard.ZstdDecompressor().stream_reader(packed[:-3]) as reader:
        assert len(reader.read()) < len(PAYLOAD)  # what the library says of it: nothing
    assert refusal(tmp_path / "a.zst", packed[:-3]) == "UNPACK_TRUNCATED"


@pytest.mark.parametrize("tail", [b"\1", b"garbage", bytes(2 * BLOCK_BYTES) + b"\1"], ids=len)
@packings
def test_f10_bytes_behind_the_frame_are_refused(tmp_path, suffix, tail):
    assert refusal(tmp_path / f"a{suffix}", PACK[suffix](PAYLOAD) + tail) == "UNPACK_TRAILING_BYTES"


def skippable(data, number=0):
    return (0x184D2A50 + number).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data


def bgzip(data, size=1000):
    """Members of few bytes each, and an empty one at the end."""
    return b"".join(gzip.compress(data[at : at + size]) for at in range(0, len(data), size)) + gzip.compress(b"")


MEMBERS = {
    "gzip twice": (".gz", gzip.compress(PAYLOAD) + gzip.compress(b"more"), PAYLOAD + b"more"),
    "bgzip": (".gz", bgzip(PAYLOAD[:100_000]), PAYLOAD[:100_000]),
    "gzip of nothing, then some": (".gz", gzip.compress(b"") + gzip.compress(b"x"), b"x"),
    "zstd twice": (".zst", PACK[".zst"](PAYLOAD) + PACK[".zst"](b"more"), PAYLOAD + b"more"),
    "zstd, many small frames": (
        ".zst",
        b"".join(zstandard.compress(bytes([n])) for n in range(256)),
        bytes(range(256)),
    ),
    "pzstd": (".zst", (skippable(b"size") + zstandard.compress(b"a")) * 9, b"a" * 9),
    "seekable zstd": (".zst", zstandard.compress(PAYLOAD) + skippable(bytes(3 * BLOCK_BYTES), 14), PAYLOAD),
    "skippable frames alone": (".zst", skippable(b"") + skippable(b"x", 15), b""),
}
members = pytest.mark.parametrize("case", MEMBERS)


@members
def test_f10_every_member_and_frame_is_read_and_what_may_be_skipped_is_skipped(tmp_path, case):
    suffix, packed, payload = MEMBERS[case]
    assert unpack(tmp_path / f"a{suffix}", packed) == payload


@members
def test_f10_a_cut_anywhere_in_the_last_member_is_refused_and_so_is_a_tail(tmp_path, case):
    suffix, packed, _ = MEMBERS[case]
    for cut in (1, 2, 3, 5):
        assert refusal(tmp_path / f"a{suffix}", packed[:-cut]) == "UNPACK_TRUNCATED"
    assert refusal(tmp_path / f"a{suffix}", packed + b"garbage") == "UNPACK_TRAILING_BYTES"
    again = PACK[suffix](b"more")
    for cut in range(1, min(len(again), 20)):
        assert refusal(tmp_path / f"a{suffix}", packed + again[:cut]) == "UNPACK_TRUNCATED"


def test_members_of_a_bomb_count_together(tmp_path):
    assert refusal(tmp_path / "a.gz", gzip.compress(bytes(1 << 20)) * 3, max_bytes=2 << 20) == "UNPACK_CAP"


def long_range(log):
    settings = zstandard.ZstdCompressionParameters.from_level(3, window_log=log, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return packer.compress(PAYLOAD) + packer.flush()


@pytest.mark.parametrize("log", [28, 30])
def test_a_window_over_the_setting_is_refused_with_its_size_and_read_under_a_larger_setting(tmp_path, log):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b"first") + long_range(log))
    with pytest.raises(DataError, match="max_window_bytes") as error:
        list(unpacked(path, LARGE, LARGE))
    assert (error.value.code, error.value.found) == ("UNPACK_WINDOW", f"{1 << log:,} bytes")
    assert b"".join(unpacked(path, LARGE, LARGE, 1 << log)) == b"first" + PAYLOAD
    path.write_bytes(long_range(27))
    assert b"".join(unpacked(path, LARGE, LARGE)) == PAYLOAD


@pytest.mark.parametrize("name", ["a.GZ", "a.gzip", "a.bgz", "a.ZST", "a.zstd"])
def test_suffixes_are_read_in_any_case_and_under_their_aliases(tmp_path, name):
    pack = zstandard.compress if "z" in name[2:3].lower() else gzip.compress
    assert unpack(tmp_path / name, pack(PAYLOAD)) == PAYLOAD


@pytest.mark.parametrize(
    ("data", "found"), [(b'{"text": "x"}', "JSON text"), (b"PAR1\0\0", "a parquet file"), (b"<html>", "a web page")]
)
@packings
def test_a_packed_name_on_other_bytes_is_refused_saying_what_they_look_like(tmp_path, suffix, data, found):
    with pytest.raises(DataError, match=found) as error:
        unpack(tmp_path / f"a{suffix}", data)
    assert error.value.code == "UNPACK_CORRUPT"


@packings
def test_f10_a_tail_is_refused_when_the_frame_fills_its_block_exactly(tmp_path, suffix):
    size = next(n for n in range(BLOCK_BYTES, 0, -1) if len(PACK[suffix](PAYLOAD[:n])) <= BLOCK_BYTES)
    packed = PACK[suffix](PAYLOAD[:size])
    assert len(packed) == BLOCK_BYTES
    assert unpack(tmp_path / f"a{suffix}", packed) == PAYLOAD[:size]
    assert refusal(tmp_path / f"a{suffix}", packed + b"x") == "UNPACK_TRAILING_BYTES"


@packings
def test_damaged_bytes_are_refused(tmp_path, suffix):
    packed = bytearray(PACK[suffix](PAYLOAD))
    packed[len(packed) // 2] ^= 0xFF
    assert refusal(tmp_path / f"a{suffix}", bytes(packed)) == "UNPACK_CORRUPT"
    assert refusal(tmp_path / f"a{suffix}", b"not packed at all") == "UNPACK_CORRUPT"


@packings
def test_a_bomb_is_stopped_at_the_smaller_cap_and_never_held_whole(tmp_path, suffix):
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(PACK[suffix](bytes(256 << 20)))
    for caps, allowed in (((32 << 20, LARGE), 32 << 20), ((LARGE, 100), max(1 << 20, 100 * path.stat().st_size))):
        read = largest = 0
        with pytest.raises(DataError) as error:
            for piece in unpacked(path, *caps):
                read, largest = read + len(piece), max(largest, len(piece))
        assert error.value.code == "UNPACK_CAP"
        assert read <= allowed and largest <= 8 << 20
