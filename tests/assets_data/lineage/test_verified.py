"""A file is hashed once per process, for as long as the disk says that it is the same file."""

import os

import pytest

from assets_data.lineage import IntegrityError, Store, digest_bytes, digest_file
from assets_data.lineage.receipts import code
from assets_data.lineage.storage import verified
from assets_data.lineage.storage.verified import known_digest, remember, settled_digest
from tests.assets_data.lineage.stages import CountConfig, make_counts


def bytes_read(act):
    """How many bytes this process asked of its files while ``act`` ran, as the kernel counts them."""

    def asked():
        with open("/proc/self/io") as file:
            return int(file.readline().split()[1])

    before = asked()
    act()
    return asked() - before


def rewrite_in_place(path):
    """Another byte in the same file, of the same size and with the same time of writing."""
    stat = path.stat()
    with open(path, "r+b") as file:
        byte = file.read(1)[0]
        file.seek(0)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def replace_by_copy(path):
    """Another file under the same name, with the size and times of the old one."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[0] ^= 1
    other = path.with_name("other")
    other.write_bytes(data)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, path)


def grow(path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(1 << 22))
    return path


def test_a_file_is_read_once_and_then_known(large):
    size = large.stat().st_size
    digest = digest_file(large)
    assert bytes_read(lambda: known_digest(large)) >= size
    assert bytes_read(lambda: known_digest(large)) < 1 << 16 and known_digest(large) == digest
    assert bytes_read(lambda: digest_file(large)) >= size  # who asks the file asks the disk


def test_a_file_is_known_by_itself_and_not_by_its_name(large, tmp_path):
    digest, other = known_digest(large), tmp_path / "other.bin"
    other.write_bytes(b"another")
    assert known_digest(other) == digest_bytes(b"another") != digest
    os.link(large, tmp_path / "linked.bin")  # a link changes ctime: hashed again, and the same
    assert known_digest(tmp_path / "linked.bin") == digest


def test_our_own_links_leave_a_file_known_and_a_write_behind_them_does_not(large, tmp_path):
    remember(large, "sha256:as noted")
    verified.link(large, tmp_path / "linked.bin")
    assert known_digest(large) == known_digest(tmp_path / "linked.bin") == "sha256:as noted"
    verified.unlink(large)
    assert not large.exists() and known_digest(tmp_path / "linked.bin") == "sha256:as noted"
    rewrite_in_place(tmp_path / "linked.bin")
    verified.link(tmp_path / "linked.bin", large)
    assert known_digest(large) == digest_file(large)


def settle(path, monkeypatch):
    """As if the file had been written an hour ago; the time of change is the kernel's, so ours is moved instead."""
    monkeypatch.setattr(verified.time, "time_ns", lambda: path.stat().st_ctime_ns + 3600 * 10**9)


def test_a_file_of_others_is_hashed_once_only_when_it_has_come_to_rest(large, monkeypatch):
    size, digest = large.stat().st_size, digest_file(large)
    for _ in range(2):  # written just now: its times would not tell a second write within the same tick
        assert bytes_read(lambda: settled_digest(large)) >= size
    settle(large, monkeypatch)
    assert bytes_read(lambda: settled_digest(large)) >= size
    assert bytes_read(lambda: settled_digest(large)) < 1 << 16 and settled_digest(large) == digest


@pytest.mark.parametrize("change", [rewrite_in_place, replace_by_copy, grow])
def test_a_file_of_others_that_changed_is_hashed_again(large, change, monkeypatch):
    settle(large, monkeypatch)
    before = settled_digest(large)
    change(large)
    assert settled_digest(large) == digest_file(large) != before


def test_every_source_file_is_read_once_for_the_code_versions_of_all_stages(monkeypatch):
    stages = ("assets_data.domains.text.raw_slice", "assets_data.domains.text.triples")
    monkeypatch.setattr(code, "_READ", {})
    monkeypatch.setattr(code, "is_settled", lambda key, now: True)  # a fresh checkout is not at rest yet
    read = []
    monkeypatch.setattr(code, "digest_bytes", lambda data: read.append(data) or "sha256:x")
    for _ in range(2):
        for stage in stages:
            code.code_version.__wrapped__(stage)
    files = {file for file, _ in code._READ}
    assert len(read) == len(files) > 30


@pytest.mark.parametrize("change", [rewrite_in_place, replace_by_copy, grow])
def test_a_file_that_changed_is_hashed_again(large, change):
    before = known_digest(large)
    change(large)
    assert known_digest(large) == digest_file(large) != before


def test_what_was_written_and_hashed_is_not_hashed_again(large):
    remember(large, "sha256:as noted")
    assert known_digest(large) == "sha256:as noted"
    rewrite_in_place(large)
    assert known_digest(large) == digest_file(large)


def test_publishing_and_reading_back_hashes_each_file_once(tmp_path):
    store = Store(tmp_path / "store")
    snapshot = make_counts(store, CountConfig(rows=200_000))
    assert snapshot.bytes > 1 << 21
    for again in (lambda: store.snapshot(snapshot.id), lambda: make_counts(store, CountConfig(rows=200_000))):
        assert bytes_read(again) < 1 << 20
    assert bytes_read(lambda: snapshot.verify(deep=True)) >= snapshot.bytes


@pytest.mark.parametrize("change", [rewrite_in_place, replace_by_copy])
@pytest.mark.parametrize("name", ["numbers.arrow", "squares.json"])
def test_a_published_file_that_changed_is_refused_without_being_asked_to_hash_again(store, name, change):
    snapshot = make_counts(store, CountConfig())
    store.snapshot(snapshot.id)
    change(snapshot.file(name))
    with pytest.raises(IntegrityError) as error:
        store.snapshot(snapshot.id)
    assert error.value.code == "SNAPSHOT_FILE_DIGEST" and name in str(error.value)
    healed = make_counts(store, CountConfig())
    assert healed.id == snapshot.id and not healed.reused


def test_deep_verification_hashes_again_whatever_this_process_knows(store):
    snapshot = make_counts(store, CountConfig())
    path = snapshot.file("squares.json")
    rewrite_in_place(path)
    remember(path, snapshot.files["squares.json"]["sha256"])  # as if the disk had lied
    snapshot.verify()
    with pytest.raises(IntegrityError) as error:
        snapshot.verify(deep=True)
    assert error.value.code == "SNAPSHOT_FILE_DIGEST"
