"""The store: equal calls share one snapshot, broken ones are rebuilt, half-written ones do not exist."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from assets_data.lineage import DataError, IntegrityError, Snapshot, StorageError, Store, canonical_json
from assets_data.lineage.identity.digests import digest_file
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage import look as looks
from assets_data.lineage.storage import snapshot as snapshots
from assets_data.lineage.storage import verified
from assets_data.lineage.storage.snapshot_json import MANIFEST
from tests.assets_data.lineage.stages import CountConfig, make_counts


def flip_byte(path, offset=-100):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def leftovers(store):
    return list((store.root / "snapshots").glob(".tmp-*"))


def test_an_equal_call_reuses_and_another_config_does_not(store):
    first, again = make_counts(store, CountConfig()), make_counts(store, CountConfig())
    assert (first.reused, again.reused, again.id) == (False, True, first.id)
    assert make_counts(store, CountConfig(rows=101)).id != first.id


def test_the_same_content_by_another_route_is_the_same_id_with_another_receipt(store):
    first = make_counts(store, CountConfig())
    again = make_counts(store, CountConfig(), parents=[first])
    assert again.id == first.id and not again.reused
    assert len(store.receipts(first.id)) == 2


def test_a_look_finds_what_is_made_and_refuses_what_is_not(store):
    made = make_counts(store, CountConfig())
    look = store.looking()
    found = make_counts(look, CountConfig())
    assert (found.id, found.reused, found.receipt) == (made.id, True, made.receipt)
    with pytest.raises(DataError) as error:
        make_counts(look, CountConfig(rows=5), before_publish=lambda path: pytest.fail("work started"))
    assert error.value.code == "STAGE_NOT_MADE" and store.snapshot_ids() == [made.id]


@pytest.mark.parametrize("spoil", ["receipt", "file", "receipt lost", "record lost"])
def test_what_was_spoilt_before_a_look_is_not_found_by_it(store, spoil):
    made = make_counts(store, CountConfig())
    make_counts(store.looking(), CountConfig())
    if spoil in ("receipt", "file"):
        flip_byte(made.receipt if spoil == "receipt" else made.file("numbers.arrow"))
    for path in {"receipt lost": [made.receipt], "record lost": (store.root / "stages").glob("*.json")}.get(spoil, ()):
        path.unlink()
    with pytest.raises(DataError) as error:
        make_counts(store.looking(), CountConfig())
    assert error.value.code == "STAGE_NOT_MADE"


def test_a_look_verifies_a_snapshot_once_and_the_store_itself_each_time(store):
    made = make_counts(store, CountConfig())
    look = store.looking()
    assert look.snapshot(made.id).id == look.snapshot(made.id).id == made.id
    flip_byte(made.file("numbers.arrow"))
    assert look.snapshot(made.id).id == made.id
    for other in (store, store.looking()):
        with pytest.raises(IntegrityError):
            other.snapshot(made.id)


def test_looks_of_one_command_share_what_they_verified_and_a_stage_verifies_what_it_reads(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)
    made = make_counts(store, CountConfig())
    with looks.one_look():
        store.looking().snapshot(made.id)
        flip_byte(made.file("numbers.arrow"))
        with looks.one_look():
            read = store.looking().snapshot(made.id)
        with pytest.raises(IntegrityError) as error:
            make_counts(store, CountConfig(rows=5), parents=[read], before_publish=lambda path: pytest.fail("worked"))
        assert error.value.code == "SNAPSHOT_FILE_DIGEST"
    with pytest.raises(IntegrityError):
        store.looking().snapshot(made.id)


def test_a_look_verifies_a_snapshot_once_however_many_it_meets_between(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)  # as if all files had come to rest
    monkeypatch.setattr(looks, "SEEN", 1)
    made, other = make_counts(store, CountConfig()), make_counts(store, CountConfig(rows=5))
    look = store.looking()
    assert [look.snapshot(one.id).id for one in (made, other)] == [made.id, other.id]
    flip_byte(made.file("numbers.arrow"))
    assert look.snapshot(made.id) == made.__class__.open(made.path)
    look.snapshot(other.id)
    listed = made.path / MANIFEST
    os.utime(listed, ns=(1, 1))  # another list, for all that the disk says: what it lists is verified again
    with pytest.raises(IntegrityError) as error:
        look.snapshot(made.id)
    assert error.value.code == "SNAPSHOT_FILE_DIGEST"


def opened_files(monkeypatch):
    """Every file that is opened from now on."""
    files, real = [], open
    monkeypatch.setattr("builtins.open", lambda file, *how, **named: files.append(file) or real(file, *how, **named))
    return files


def test_a_list_of_files_is_read_and_checked_once_until_it_changes(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)
    made, read = make_counts(store, CountConfig()), opened_files(monkeypatch)
    listed = made.path / MANIFEST
    first = Snapshot.open(made.path)
    snapshots._kept.cache_clear()  # as if thousands of others had been opened since
    assert Snapshot.open(made.path) == first and listed not in read  # it was checked as it was published
    listed.write_bytes(listed.read_bytes().replace(b'"rows":100', b'"rows":101'))
    snapshots._kept.cache_clear()
    for _ in range(2):
        with pytest.raises(IntegrityError) as error:
            Snapshot.open(made.path)
        assert error.value.code == "SNAPSHOT_ID"


def test_of_lists_that_were_checked_no_more_than_a_number_is_kept(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)
    monkeypatch.setattr(snapshots, "_checked", {})
    monkeypatch.setattr(snapshots, "CHECKED", 1)
    made = [make_counts(store, CountConfig(rows=rows)) for rows in (2, 3)]
    for _ in range(2):
        snapshots._kept.cache_clear()
        assert [Snapshot.open(snapshot.path).id for snapshot in made] == [snapshot.id for snapshot in made]
        assert len(snapshots._checked) == 1


def test_a_pointer_is_read_once_until_it_is_moved(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)
    made, other = make_counts(store, CountConfig()), make_counts(store, CountConfig(rows=5))
    name = f"{made.kind}/a"
    assert store.pointer(name) is None
    store.point(name, made)
    read = opened_files(monkeypatch)
    place = store.root / "pointers" / f"{name}.json"
    assert [store.pointer(name)["snapshot"] for _ in range(3)] == [made.id] * 3 and read.count(place) == 1
    store.point(name, other)
    assert store.pointer(name)["snapshot"] == other.id
    place.write_bytes(b"{}")
    for _ in range(2):
        with pytest.raises(IntegrityError) as error:
            store.pointer(name)
        assert error.value.code == "POINTER_SHAPE"


def test_receipts_of_what_is_opened_again_are_read_once_until_one_changes(store, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", -3600 * 10**9)  # as if all files had come to rest
    made, read = make_counts(store, CountConfig()), opened_files(monkeypatch)
    for _ in range(3):
        assert store.opened(made.id).id == made.id
    assert read.count(made.receipt) == 1
    listed = digest_file(made.path / "snapshot.json").removeprefix("sha256:")
    made.receipt.write_bytes(made.receipt.read_bytes().replace(listed.encode(), b"0" * 64))
    for _ in range(2):
        with pytest.raises(IntegrityError) as error:
            store.opened(made.id)
        assert error.value.code == "RECEIPT_FILES"


def test_two_stores_give_the_same_id(tmp_path):
    ids = {make_counts(Store(tmp_path / name), CountConfig()).id for name in ("a", "other place")}
    assert len(ids) == 1


def test_f12_killed_before_snapshot_json_is_not_complete_and_a_rerun_heals(store):
    def die(path):
        assert (path / "numbers.arrow").is_file() and not (path / "snapshot.json").exists()
        os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=make_counts, args=(store, CountConfig(), (), die))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and len(leftovers(store)) == 1
    healed = make_counts(store, CountConfig())
    assert not healed.reused and leftovers(store) == []
    assert healed.id == make_counts(Store(store.root / "elsewhere"), CountConfig()).id


def test_f13_an_input_changed_after_its_snapshot_stops_the_work_before_it_starts(store):
    upstream = make_counts(store, CountConfig())
    flip_byte(upstream.file("numbers.arrow"))
    with pytest.raises(IntegrityError) as error:
        make_counts(
            store, CountConfig(rows=5), parents=[upstream], before_publish=lambda path: pytest.fail("work started")
        )
    assert error.value.code == "SNAPSHOT_FILE_DIGEST" and "numbers.arrow" in str(error.value)


def test_f14_a_flipped_byte_is_refused_and_rebuilding_heals(store):
    snapshot = make_counts(store, CountConfig())
    flip_byte(snapshot.file("numbers.arrow"))
    with pytest.raises(IntegrityError):
        store.snapshot(snapshot.id)
    healed = make_counts(store, CountConfig())
    healed.verify(deep=True)
    assert healed.id == snapshot.id and not healed.reused
    assert len(list((store.root / "quarantine").glob("*.json"))) == 1


def test_f20_two_publishers_at_once_share_one_verified_result(store):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=make_counts, args=(store, CountConfig(rows=20_000))) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    result = make_counts(store, CountConfig(rows=20_000))
    assert result.reused and len(store.receipts(result.id)) == 1 and leftovers(store) == []


@pytest.mark.parametrize("lose", [lambda s, r: s.receipt.unlink(), lambda s, r: r.write_bytes(b"")])
def test_a_lost_receipt_or_stage_record_is_made_again(store, lose):
    snapshot = make_counts(store, CountConfig())
    (record,) = (store.root / "stages").glob("*.json")
    lose(snapshot, record)
    again = make_counts(store, CountConfig())
    assert again.id == snapshot.id and not again.reused and again.receipt.is_file()
    assert make_counts(store, CountConfig()).reused


def test_another_snapshot_in_its_place_is_refused(store):
    one, two = make_counts(store, CountConfig()), make_counts(store, CountConfig(rows=3))
    shutil.rmtree(one.path)
    os.rename(two.path, one.path)
    with pytest.raises(IntegrityError) as error:
        store.snapshot(one.id)
    assert error.value.code == "SNAPSHOT_MISPLACED"


def damage_empty(manifest):
    manifest.write_bytes(b"")


def damage_half(manifest):
    manifest.write_bytes(manifest.read_bytes()[:40])


def damage_count(manifest):
    manifest.write_bytes(manifest.read_bytes().replace(b'"all":100', b'"all":101'))


def damage_version(manifest):
    manifest.write_bytes(manifest.read_bytes().replace(b'"schema":1', b'"schema":99'))


def damage_shape(manifest):
    manifest.write_bytes(canonical_json(["not", "an", "object"]))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (damage_empty, "SNAPSHOT_EMPTY"),
        (damage_half, "JSON_MALFORMED"),
        (damage_count, "SNAPSHOT_ID"),
        (damage_version, "SNAPSHOT_VERSION"),
        (damage_shape, "SNAPSHOT_SHAPE"),
        (os.unlink, "SNAPSHOT_INCOMPLETE"),
        (lambda manifest: (manifest.unlink(), manifest.mkdir()), "SNAPSHOT_INCOMPLETE"),
        (lambda manifest: (shutil.rmtree(manifest.parent), manifest.parent.touch()), "SNAPSHOT_INCOMPLETE"),
    ],
)
def test_f21_a_damaged_snapshot_json_is_refused_with_its_own_reason(store, damage, code):
    snapshot = make_counts(store, CountConfig())
    damage(snapshot.path / "snapshot.json")
    with pytest.raises(IntegrityError) as error:
        store.snapshot(snapshot.id)
    assert error.value.code == code
    assert make_counts(store, CountConfig()).id == snapshot.id


def test_f22_truncated_swapped_missing_and_added_files_are_refused(store):
    codes = []
    for rows, break_it in enumerate(
        [
            lambda s: os.truncate(s.file("numbers.arrow"), 50),
            lambda s: os.replace(s.file("squares.json"), s.file("numbers.arrow")),
            lambda s: os.unlink(s.file("squares.json")),
            lambda s: (s.path / "extra.bin").write_bytes(b"x"),
        ],
        start=10,
    ):
        snapshot = make_counts(store, CountConfig(rows=rows))
        break_it(snapshot)
        with pytest.raises(IntegrityError) as error:
            snapshot.verify()
        codes.append(error.value.code)
    assert codes == ["SNAPSHOT_FILE_SIZE", "SNAPSHOT_FILE_SIZE", "SNAPSHOT_FILE_MISSING", "SNAPSHOT_EXTRA_FILE"]


def test_deep_verification_sees_a_forged_file_list(store):
    """Somebody who edits a part and its listed digest together still cannot keep the id."""
    snapshot, other = make_counts(store, CountConfig()), make_counts(store, CountConfig(start=1))
    forged = canonical_json({"content": snapshot.content, "files": other.files, "id": snapshot.id, "stats": {}})
    for name in snapshot.files:
        (snapshot.path / name).write_bytes(other.file(name).read_bytes())
    (snapshot.path / "snapshot.json").write_bytes(forged)
    Snapshot.open(snapshot.path).verify()
    with pytest.raises(IntegrityError) as error:
        Snapshot.open(snapshot.path).verify(deep=True)
    assert error.value.code == "SNAPSHOT_CONTENT"


def test_f19_a_file_too_large_is_refused_and_the_previous_snapshot_stays(store):
    previous = make_counts(store, CountConfig())

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            make_counts(store, CountConfig(rows=200_000))
        except StorageError as error:
            os._exit(7 if error.code == "STORAGE_EFBIG" and "bytes free" in str(error) else 8)
        os._exit(9)

    child = multiprocessing.get_context("fork").Process(target=limited)
    child.start()
    child.join()
    assert child.exitcode == 7
    assert leftovers(store) == []
    store.snapshot(previous.id).verify(deep=True)


def test_a_name_points_to_what_was_published_last(store):
    one, two = make_counts(store, CountConfig()), make_counts(store, CountConfig(rows=3))
    store.point("test/counts/a", one)
    store.point("test/counts/a", two)
    store.point("test/counts/b", one)
    assert store.pointed("test/counts/a").id == two.id
    assert store.names("test/counts") == ["a", "b"]
    with pytest.raises(DataError) as error:
        store.pointed("test/counts/c")
    assert error.value.code == "STORE_NOTHING_THERE"


def test_a_file_nobody_announced_is_not_published(store):
    with pytest.raises(DataError) as error:
        make_counts(store, CountConfig(), before_publish=lambda path: (path / "stray.bin").write_bytes(b"x"))
    assert error.value.code == "SNAPSHOT_UNKNOWN_FILE" and leftovers(store) == []


def test_s16_temp_names_are_unpredictable_and_modes_follow_the_umask(store):
    seen = []
    os.umask(umask := os.umask(0o027))
    old = os.umask(0o027)
    try:
        snapshot = make_counts(store, CountConfig(), before_publish=lambda path: seen.append(path.name))
        make_counts(store, CountConfig(rows=2), before_publish=lambda path: seen.append(path.name))
    finally:
        os.umask(old)
    assert umask is not None and len({name[-16:] for name in seen}) == 2
    assert (snapshot.path / "snapshot.json").stat().st_mode & 0o777 == 0o640


IN_A_NAMESPACE = """
mount -t tmpfs -o size=1m none {mount}
{python} - <<'END'
import pathlib, subprocess, sys
from assets_data.lineage import StorageError, Store
from assets_data.lineage.identity.digests import digest_file
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage import verified
from tests.assets_data.lineage.stages import CountConfig, make_counts
store = Store(pathlib.Path("{mount}/store"))
previous = make_counts(store, CountConfig())
if "{fault}" == "read-only":
    subprocess.run(["mount", "-o", "remount,ro", "{mount}"], check=True)
try:
    make_counts(store, CountConfig(rows=300_000))
except StorageError as error:
    print(error.code, "bytes free" in str(error))
print(store.snapshot(previous.id).id == previous.id, list((store.root / "snapshots").glob(".tmp-*")))
END
"""


@pytest.mark.parametrize(("fault", "code"), [("full", "STORAGE_ENOSPC"), ("read-only", "STORAGE_EROFS")])
def test_f18_f19_a_full_or_read_only_disk_is_refused_and_what_was_there_stays(tmp_path, fault, code):
    (mount := tmp_path / "mount").mkdir()
    script = IN_A_NAMESPACE.format(mount=mount, python=sys.executable, fault=fault)
    if subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this kernel allows no user namespaces, so no small disk can be mounted")
    shell = ["unshare", "-Urm", "sh", "-ec", script]
    result = subprocess.run(shell, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.stdout.split("\n")[:2] == [f"{code} True", "True []"], result.stderr


def edited_manifest(snapshot, change):
    path = snapshot.path / "snapshot.json"
    text = change(path.read_text())
    assert text != path.read_text()
    path.write_text(text)
    return path


UNSPEAKABLE = {
    "an integer past 2**53 in a fact": (lambda t: t.replace('"stats":{', '"stats":{"n":9007199254740993,'), "JSON_"),
    "an integer past 2**53 in the identity": (lambda t: t.replace('"all":100', '"all":9007199254740993'), "JSON_"),
    "half a surrogate in the identity": (lambda t: t.replace("test/counts", r"test/\ud800"), "JSON_"),
    "half a surrogate among the facts": (lambda t: t.replace('"stats":{', r'"stats":{"n":"\udfff",'), "JSON_"),
    "half a surrogate in a file's name": (lambda t: t.replace("squares.json", r"\ud83dsquares.json"), "JSON_"),
    "records that are a list": (lambda t: t.replace('"records":null', '"records":[]'), "SNAPSHOT_SHAPE"),
    "a record root of another length": (
        lambda t: t.replace('"records":null', '"records":{"count":1,"root":"00"}'), "SNAPSHOT_SHAPE",
    ),
    "splits that are text": (lambda t: t.replace('"all":100', '"all":"100"'), "SNAPSHOT_SHAPE"),
    "a file of a negative size": (lambda t: re.sub(r'"bytes":\d+', '"bytes":-1', t, count=1), "SNAPSHOT_SHAPE"),
    "a file of two spellings": (lambda t: t.replace('"squares.json"', '"./squares.json"'), "SNAPSHOT_SHAPE"),
}  # fmt: skip


@pytest.mark.parametrize("defect", UNSPEAKABLE)
def test_a_snapshot_json_that_nobody_could_have_written_is_refused_by_name(store, defect):
    change, code = UNSPEAKABLE[defect]
    snapshot = make_counts(store, CountConfig())
    path = edited_manifest(snapshot, change)
    with pytest.raises(IntegrityError) as error:
        store.snapshot(snapshot.id)
    assert error.value.code.startswith(code) and error.value.where == path


def linked_folder(path, elsewhere):
    (path / "extra").symlink_to(elsewhere)


def linked_file(path, elsewhere):
    (path / "squares.json").rename(elsewhere / "squares.json")
    (path / "squares.json").symlink_to(elsewhere / "squares.json")


def dangling(path, elsewhere):
    (path / "extra").symlink_to(elsewhere / "nothing")


def empty_folder(path, elsewhere):
    (path / "extra").mkdir()


@pytest.mark.parametrize("attack", [linked_folder, linked_file, dangling, empty_folder])
def test_links_and_folders_nobody_published_are_found(store, tmp_path, attack):
    snapshot = make_counts(store, CountConfig())
    (tmp_path / "elsewhere").mkdir()
    attack(snapshot.path, tmp_path / "elsewhere")
    with pytest.raises(IntegrityError) as error:
        snapshot.verify()
    assert error.value.code in ("SNAPSHOT_EXTRA_FILE", "SNAPSHOT_LINK")


@pytest.mark.parametrize("levels", [1, 2])
def test_a_listed_file_behind_a_linked_folder_is_no_part_of_the_snapshot(store, tmp_path, levels):
    folder = "/".join("ab"[:levels])

    def build(writer):
        (writer.path / folder).mkdir(parents=True)
        writer.write_json(f"{folder}/one.json", 1)

    snapshot = store.run_stage(
        name="test/nested", module="assets_data.lineage.storage.store", config=CountConfig(), parents={}, build=build
    )
    snapshot.verify(deep=True)
    shutil.move(snapshot.path / "a", tmp_path / "elsewhere")
    (snapshot.path / "a").symlink_to(tmp_path / "elsewhere")
    for check in (snapshot.verify, lambda: snapshot.check_file(f"{folder}/one.json")):
        with pytest.raises(IntegrityError) as error:
            check()
        assert error.value.code in ("SNAPSHOT_LINK", "SNAPSHOT_EXTRA_FILE")


@pytest.mark.parametrize("where", ["squares.json", "sub"])
def test_a_stage_cannot_publish_a_link(store, tmp_path, where):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.json").write_text("1")

    def build(writer):
        target = tmp_path / "elsewhere" / ("a.json" if where.endswith("json") else "")
        (writer.path / where).symlink_to(target)
        writer.part(where if where.endswith("json") else "sub/a.json")

    with pytest.raises(DataError) as error:
        store.run_stage(
            name="test/link", module="assets_data.lineage.storage.store", config=CountConfig(), parents={}, build=build
        )
    assert error.value.code == "SNAPSHOT_LINK" and not leftovers(store)
