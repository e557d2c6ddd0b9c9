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


@pytest.mark.parametrize("tail", [b"\0", b"garbage", bytes(2 * BLOCK_BYTES)], ids=len)
@packings
def test_f10_bytes_behind_the_frame_are_refused(tmp_path, suffix, tail):
    assert refusal(tmp_path / f"a{suffix}", PACK[suffix](PAYLOAD) + tail) == "UNPACK_TRAILING_BYTES"


@packings
def test_f10_a_second_frame_is_refused_as_such(tmp_path, suffix):
    packed = PACK[suffix](PAYLOAD)
    assert refusal(tmp_path / f"a{suffix}", packed + packed) == "UNPACK_SECOND_FRAME"


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
