"""A process beside reads what a look is about to ask the disk for, and nothing depends on it."""

import os
import subprocess
import sys

import pytest

from assets_data.lineage.storage import read_ahead as ahead
from assets_data.lineage.storage.read_ahead import read_all
from tests.assets_data.lineage.stages import CountConfig, make_counts


def named(store, count):
    """So many snapshots under names."""
    made = [make_counts(store, CountConfig(rows=rows + 2)) for rows in range(count)]
    for number, snapshot in enumerate(made):
        store.point(f"{snapshot.kind}/{number}", snapshot)
    return made, [f"{snapshot.kind}/{number}" for number, snapshot in enumerate(made)]


def files_of(store, snapshot):
    """Those that a look at a snapshot reads."""
    return sorted(
        path for folder in (snapshot.path, store.receipts(snapshot.id)[0].parent) for path in folder.iterdir()
    )


def put_out(paths):
    """Take files out of the page cache; skips where this file system keeps them or cannot say."""
    probe = paths[0].parents[2] / "probe"
    probe.write_bytes(b"probe")
    for path in (*paths, probe):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if not on_disk([probe]):
        pytest.skip("this file system does not say what lies in the page cache")


def on_disk(paths):
    """Those that are not in the page cache; to ask the system about one is to have it read."""
    return [path for path in paths if ahead._is_on_disk(str(path))]


@pytest.mark.parametrize("data", [True, False])
def test_what_a_look_reads_is_in_the_page_cache_afterwards(store, data):
    made, names = named(store, 3)
    files = [path for snapshot in made for path in files_of(store, snapshot)]
    put_out(files)
    assert read_all(str(store.root), names, data) == 3
    unread = [
        path for snapshot in made for path in files if path.name in snapshot.files and path.parent == snapshot.path
    ]
    assert on_disk(files) == ([] if data else unread) and len(unread) > len(made)


@pytest.mark.parametrize("data", [True, False])
def test_as_a_program_it_reads_what_it_is_told_on_its_input(store, data):
    made, names = named(store, 2)
    first, second = (files_of(store, snapshot) for snapshot in made)
    put_out(first + second)
    command = [sys.executable, "-I", "-S", ahead.__file__, str(store.root), *(["data"] if data else [])]
    subprocess.run(command, input=names[0], text=True, check=True, timeout=60)
    assert (on_disk(first) == []) == data and on_disk(second)


def test_a_sample_is_taken_from_all_of_them(store):
    made, names = named(store, 3)
    put_out(files_of(store, made[2]))
    assert read_all(str(store.root), names, True) == 3


def test_nothing_is_read_where_a_sample_is_at_hand(store, monkeypatch):
    _, names = named(store, 2)
    monkeypatch.setattr(ahead, "_read", lambda *given, **named: pytest.fail("read"))
    assert read_all(str(store.root), names, True) == 0


def test_large_files_are_left_to_the_system(store, monkeypatch):
    (made,), (name,) = named(store, 1)
    sizes = {path.name: path.stat().st_size for path in files_of(store, made)}
    monkeypatch.setattr(ahead, "_LARGEST", sizes["snapshot.json"])
    found = {os.path.basename(path) for path in ahead._small_files(str(store.root), name, True)}
    assert found == {name for name, size in sizes.items() if size <= sizes["snapshot.json"]} != set(sizes)


@pytest.mark.parametrize("spoil", ["no name", "no JSON", "no snapshot", "another type", "a path", "a folder is gone"])
def test_what_cannot_be_read_is_left_to_the_look(store, spoil):
    (made, other), names = named(store, 2)
    pointer = store.root / "pointers" / f"{names[0]}.json"
    texts = {"no JSON": "{", "no snapshot": "{}", "another type": '{"snapshot": 3}', "a path": '{"snapshot": ".."}'}
    if spoil == "no name":
        pointer.unlink()
    elif spoil in texts:
        pointer.write_text(texts[spoil])
    else:
        made.path.rename(made.path.with_name("gone"))
    beside = store.root / "snapshots.json"
    beside.write_text("{}")
    put_out([*files_of(store, other), beside])
    assert read_all(str(store.root), names, True) == 2
    assert on_disk([*files_of(store, other), beside]) == [beside]


def test_the_process_is_told_every_name_in_order_and_ends_with_the_block(store, tmp_path, monkeypatch):
    program, told = tmp_path / "program.py", tmp_path / "told"
    program.write_text(
        "import sys, time\n"
        f"print(sys.argv[1:], sys.stdin.read().split(), file=open({str(told)!r}, 'w'), flush=True)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(ahead, "__file__", str(program))
    monkeypatch.setattr(ahead, "FROM_NAMES", 2)
    started, real = [], subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *given, **named: started.append(real(*given, **named)) or started[0]
    )
    with pytest.raises(KeyError), ahead.read_ahead(store.root, ["k/b", "k/a"]):
        while not told.is_file() or not told.read_text().endswith("\n"):
            assert started[0].poll() is None
        raise KeyError
    assert started[0].returncode == -9
    assert told.read_text() == f"{[str(store.root), 'data']} {['k/b', 'k/a']}\n"


def test_one_that_ends_before_it_was_told_everything_does_no_harm(store, tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(ahead, "__file__", str(program))
    with ahead.read_ahead(store.root, [f"kind/{'x' * 150}{number}" for number in range(5000)]):
        pass


def test_for_few_names_no_process_is_started(store, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **named: pytest.fail("started"))
    with ahead.read_ahead(store.root, ["kind/a"] * (ahead.FROM_NAMES - 1)):
        pass
