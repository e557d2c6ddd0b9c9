"""No command prints a traceback: whatever the root, the folder or the argument is, one line with a code says why."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_defs.commands import cli

NODE = "walk_lm/checkpoint"
RECORD = "a" * 64
COMMANDS = [
    ("show", NODE),
    ("verify", NODE),
    ("verify", "."),
    ("explain", NODE),
    ("explain", "../../etc"),
    ("explain", ""),
    ("status",),
    ("batch", NODE, "--step", "1"),
    ("batch", NODE, "--step", "-1"),
    ("find", ""),
    ("find", "\ud800"),
    ("uses", RECORD),
    ("uses", "zz"),
    ("withdraw", RECORD),
    ("withdraw", "--group", "nobody"),
    ("prove", RECORD, NODE),
    ("check-proof", "missing.json"),
    ("rebuild", NODE),
    ("diff", NODE, "sha256:00"),
    ("export", NODE, "--format", "in-toto", "--out", "/proc/none/here"),
    ("sign", NODE, "--key", "missing.pem"),
    ("check-bundle", "missing.json", "--key", "missing.pem"),
    ("generate", "--checkpoint", NODE, "--prompt", "x"),
    ("mix", "--source", "a=nothing"),
    ("import-triples", "missing", "--name", "x"),
    ("export-triples", "text/triples/none", "out"),
    ("run", "--recipe", "none"),
    ("withdraw", RECORD, "--apply"),
    ("run", "--preset", "smoke", "--set", "text.raw_slice.source"),
    ("run", "--preset", "smoke", "--set", 'walk_lm.train={"a": "x"}'),
    ("run", "--preset", "smoke", "--config", "missing.toml"),
    ("slices", "show"),
    ("new", "domain", "../evil", "out"),
]


def roots(folder):
    (folder / "file").write_text("no folder")
    (folder / "a store").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "store").write_text("no folder either")
    return {
        "missing": folder / "missing",
        "file": folder / "file",
        "under a file": folder / "file" / "below",
        "spaces": folder / "a store",
        "broken": folder / "broken",
    }


@pytest.mark.parametrize("kind", ["missing", "file", "under a file", "spaces", "broken"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_what_cannot_be_done_is_said_in_a_line(arguments, kind, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEMMA_ROOT", str(roots(tmp_path)[kind]))
    try:
        status = cli.main(list(arguments))
    except SystemExit as stopped:
        status = stopped.code
    said = capfd.readouterr()
    assert status in (0, 1, 2, 3)
    assert "Traceback" not in said.out + said.err and "COMMAND_UNEXPECTED" not in said.err


@pytest.mark.parametrize("kind", ["file", "under a file"])
@pytest.mark.parametrize("arguments", [("status",), ("find", "x"), ("uses", RECORD), ("run", "--preset", "smoke")])
def test_a_root_that_is_a_file_is_refused_and_never_taken_for_an_empty_store(
    arguments, kind, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("STEMMA_ROOT", str(roots(tmp_path)[kind]))
    assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert said.err.startswith("[ROOT_FOLDER]") and str(tmp_path / "file") in said.err and not said.out


@pytest.mark.parametrize("error", [ValueError("odd\nlines"), OSError(28, "No space left", "x"), RecursionError()])
def test_what_nobody_expected_is_one_line_and_a_file(error, monkeypatch, capsys):
    def fails(*_):
        raise error

    monkeypatch.setattr(cli, "_ui", fails)
    assert cli.main(["ui"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[COMMAND_OS]" if isinstance(error, OSError) else "[COMMAND_UNEXPECTED]")
    details = Path(re.search(r"\S+/stemma-error-\S+?\.txt", line)[0])
    assert f"{type(error).__name__}" in details.read_text() and "in fails" in details.read_text()
    details.unlink()


def test_a_reader_that_has_enough_ends_a_command_without_a_word(tmp_path):
    command = f"{sys.executable} -m pipeline_defs.commands.cli --help | head -c 1 && STEMMA_ROOT={tmp_path} "
    command += f"{sys.executable} -m pipeline_defs.commands.cli status --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


EMPTY = [
    (("hold", ""), "node"),
    (("export", NODE, "--format", "in-toto", "--output", ""), "output"),
    (("verify", NODE, "--key", ""), "key"),
    (("rebuild", NODE, "--into", ""), "into"),
    (("withdraw", RECORD, ""), "records"),
    (("promote", "walk_lm", "--checkpoint="), "checkpoint"),
]


@pytest.mark.parametrize(("arguments", "name"), EMPTY)
def test_an_empty_word_is_never_taken_for_one_left_out(arguments, name, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    assert cli.main(list(arguments)) == 2
    said = capfd.readouterr()
    assert "[ARGUMENT_EMPTY]" in said.err and f"found {name}" in said.err and not said.out
