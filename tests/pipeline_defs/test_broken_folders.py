"""A store that something else has written in: every command says what is wrong in a line with a code of its own."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from assets_data.lineage import IntegrityError, Store
from assets_data.lineage.storage.names import read_pointer
from pipeline_defs.commands import cli
from tests.assets_data.domains.text.corpora import documents, raw_of
from tests.assets_data.lineage.mini_chain import make_chain

NODE, RECORD = "toy/checkpoint", "a" * 64
COMMANDS = [
    ("show", NODE),
    ("verify", NODE),
    ("explain", NODE),
    ("status",),
    ("uses", RECORD),
    ("withdraw", RECORD),
    ("withdraw", RECORD, "--apply"),
    ("prove", RECORD, NODE),
    ("rebuild", NODE),
    ("diff", NODE, "toy/preflight_report"),
    ("export", NODE, "--format", "in-toto", "--out", "bundle.json"),
]
GARBAGE = [b"", b"{}", b"[1,2", b"null", b"\xff\xfe\x00", b'{"content":{"kind":3},"files":[],"id":1,"stats":null}']


def snapshots(store):
    return sorted((store / "snapshots").iterdir())


def half_a_snapshot(store):
    for folder in snapshots(store)[::2]:
        (folder / "snapshot.json").unlink()


def garbage_in_snapshot_json(store):
    for number, folder in enumerate(snapshots(store)):
        (folder / "snapshot.json").write_bytes(GARBAGE[number % len(GARBAGE)])


def garbage_in_pointers(store):
    kinds = [*GARBAGE, b'{"snapshot": 3}', b'{"snapshot": "sha256:zz", "receipt": null}']
    for number, path in enumerate(sorted((store / "pointers").rglob("*.json"))):
        path.write_bytes(kinds[number % len(kinds)])


def garbage_in_receipts(store):
    for number, path in enumerate(sorted((store / "receipts").rglob("*.json"))):
        path.write_bytes(GARBAGE[number % len(GARBAGE)])


def folders_for_receipts(store):
    for path in sorted((store / "receipts").rglob("*.json")):
        path.unlink()
        path.mkdir()


def folders_for_pointers(store):
    for path in sorted((store / "pointers").rglob("*.json"))[::2]:
        path.unlink()
        path.mkdir()


def a_file_for_a_snapshot(store):
    folder = snapshots(store)[0]
    shutil.rmtree(folder)
    folder.write_text("no folder")


def folders_for_parts(store):
    for folder in snapshots(store):
        part = min(path for path in folder.iterdir() if path.is_file() and path.name != "snapshot.json")
        part.unlink()
        part.mkdir()


def parts_gone(store):
    for folder in snapshots(store):
        min(path for path in folder.iterdir() if path.name != "snapshot.json").unlink()


def stray_things(store):
    for name in ("snapshots", "receipts", "stages", "pointers", "pointers/text", "runs"):
        (store / name / "stray folder \u00e9").mkdir(parents=True)
        (store / name / ("f" * 64)).mkdir()
        (store / name / "bad.json").write_text("{")


def links(store):
    (store / "moved").mkdir()
    for folder in snapshots(store)[:3]:
        folder.rename(store / "moved" / folder.name)
        folder.symlink_to(store / "moved" / folder.name)
    (store / "snapshots" / ("b" * 64)).symlink_to("/nonexistent")


def a_loop(store):
    shutil.rmtree(store / "pointers")
    (store / "pointers").symlink_to("pointers")


def file_instead_of(name):
    def breaks(store):
        shutil.rmtree(store / name, ignore_errors=True)
        (store / name).write_text("no folder")

    breaks.__name__ = f"a_file_for_{name}"
    return breaks


BREAKS = [
    half_a_snapshot,
    garbage_in_snapshot_json,
    garbage_in_pointers,
    garbage_in_receipts,
    folders_for_receipts,
    folders_for_pointers,
    a_file_for_a_snapshot,
    folders_for_parts,
    parts_gone,
    stray_things,
    links,
    a_loop,
    *map(file_instead_of, ("snapshots", "receipts", "stages", "pointers")),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    make_chain(Store(root / "store"))
    return root


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda breaks: breaks.__name__)
def test_every_command_over_a_broken_store_says_so_with_a_code_of_its_own(whole, breaks, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for number, arguments in enumerate(COMMANDS):
        root = tmp_path / f"root {number}"
        shutil.copytree(whole, root)
        breaks(root / "store")
        monkeypatch.setenv("STEMMA_ROOT", os.path.relpath(root) if number % 2 else str(root))
        status = cli.main(list(arguments))
        said = capfd.readouterr()
        assert status in (0, 1, 3), (arguments, said)
        assert "Traceback" not in said.out + said.err and "[COMMAND_" not in said.err, (arguments, said.err)


@pytest.mark.parametrize("document", [b"", b"[]", b'{"snapshot": 3, "receipt": null}', b'{"snapshot": "sha256:z"}'])
def test_a_pointer_says_an_id_and_a_receipt_or_is_refused(tmp_path, document):
    path = tmp_path / "name.json"
    path.write_bytes(document)
    with pytest.raises(IntegrityError):
        read_pointer(path)


def test_status_lists_a_name_whose_pointer_is_broken_and_all_others(whole, tmp_path, monkeypatch, capsys):
    shutil.copytree(whole, tmp_path / "root")
    (tmp_path / "root" / "store" / "pointers" / "text" / "tokenizer.json").write_text("[]")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    cli.main(["status"])
    said = capsys.readouterr().out
    assert "POINTER_SHAPE" in said and "toy/checkpoint" in said and "text/triples/a" in said


@pytest.mark.parametrize(
    "command", [("explain",), ("verify",), ("show",), ("rebuild",), ("export", "--format", "in-toto")]
)
def test_a_name_that_was_made_to_stand_for_another_kind_answers_nothing(whole, command, tmp_path, monkeypatch, capsys):
    shutil.copytree(whole, tmp_path / "root")
    pointers = tmp_path / "root" / "store" / "pointers"
    (pointers / "toy" / "checkpoint.json").write_bytes((pointers / "text" / "triples" / "a.json").read_bytes())
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    assert cli.main([command[0], "toy/checkpoint", *command[1:]]) == 1
    said = capsys.readouterr()
    assert "[STORE_NAME_KIND]" in said.err and "text/triples" in said.err and "intact" not in said.out
    assert cli.main(["status"]) == 1
    assert "STORE_NAME_KIND" in capsys.readouterr().out


def test_what_is_found_was_published(tmp_path, monkeypatch, capsys):
    raw = raw_of(Store(tmp_path / "store"), tmp_path / "in", documents(3))
    path = raw.file("records.parquet")
    path.write_bytes(path.read_bytes()[:-7])
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    assert cli.main(["find", "alpha"]) == 1
    assert capsys.readouterr().err.startswith("[SNAPSHOT_FILE_SIZE]")


@pytest.mark.parametrize("root", ["~nobody-of-that-name/x", "/proc/stemma", "/sys/stemma", "x" * 300, "/dev/null/x"])
@pytest.mark.parametrize("arguments", [("run", "--preset", "smoke"), ("withdraw", RECORD, "--apply"), ("status",)])
def test_a_root_that_cannot_be_is_refused_with_a_code_of_its_own(root, arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("STEMMA_ROOT", root)
    status = cli.main(list(arguments))
    said = capfd.readouterr()
    assert status in (0, 1) and "[COMMAND_" not in said.err and "Traceback" not in said.out + said.err
    assert (status == 1 and said.err.startswith("[")) or arguments == ("status",)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check-proof", "missing.json"), "FILE_GIVEN"),
        (("check-bundle", "."), "FILE_GIVEN"),
        (("check-bundle", "/dev/zero"), "JSON_MALFORMED"),  # no more of it is read than a document may have
        (("check-proof", sys.executable), "JSON_MALFORMED"),
        (("show", "n" * 5000), "NODE_UNKNOWN"),
        (("explain", f"/tmp/{'n' * 300}"), "NODE_UNKNOWN"),
        (("export", NODE, "--format", "in-toto", "--out", "/proc/none/here"), "STORAGE_ENOENT"),
        (("export", NODE, "--format", "croissant", "--out", "/dev/null/here"), "STORAGE_EEXIST"),
        (("export", NODE, "--format", "in-toto", "--out", "/tmp"), "STORAGE_EISDIR"),
        (("export", NODE, "--format", "in-toto", "--out", "/proc/here"), "STORAGE_ENOENT"),
        (("rebuild", NODE, "--into", "/dev/null"), "STORAGE_ENOTDIR"),
        (("rebuild", NODE, "--into", "/proc/here"), "STORAGE_ENOENT"),
        (("sign", NODE, "--key", "/tmp"), "KEY_UNUSABLE"),
    ],
)
def test_a_file_that_a_person_names_and_that_cannot_be_is_said(whole, arguments, code, monkeypatch, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(whole))
    assert cli.main(list(arguments)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"[{code}]") and "codec" not in said and "Errno" not in said, Path.cwd()
