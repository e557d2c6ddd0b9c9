"""F23: SIGKILL at any update and at any file-system operation, once, twice, and while resuming."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from training.checkpoint import read_state, stored

ROOT = Path(__file__).parents[2]


def drive(root: Path, plans: list[str]) -> dict[str, list[int]]:
    """Exit statuses per plan."""
    command = [sys.executable, "-m", "tests.training.kill_driver", str(root), *plans]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: [int(code) for code in line.split()[1:]] for line in done.stdout.splitlines()}


def outcome(directory: Path) -> dict[str, str]:
    """Digests of all that must be bit-equal: weights, optimizer, generator, history; and the cursor."""
    last = stored(directory / "checkpoints")[-1]
    state = read_state(last)
    digests = {name: digest for name, digest in state["files"].items()}
    history = hashlib.sha256((directory / "metrics.jsonl").read_bytes()).hexdigest()
    assert state["history"]["sha256"] == history
    return {**digests, "history": history, "update": state["update"], "inexact": str(state["inexact"])}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, str], int]:
    """The outcome of a run nobody disturbs, and how many file-system events it has."""
    root = tmp_path_factory.mktemp("calm")
    assert drive(root, ["none"]) == {"none": [0]}
    return outcome(root / "none"), int((root / "none.events").read_text())


def check(root: Path, plans: list[str], expected: dict[str, str]) -> None:
    for plan, codes in drive(root, plans).items():
        assert codes[-1] == 0, plan
        assert outcome(root / plan) == expected, plan
        assert not list((root / plan).rglob(".tmp-*")), plan


def test_f23_killed_at_any_update_the_run_ends_bit_equal(tmp_path, undisturbed):
    plans = [f"u{update}" for update in range(1, 13)]
    check(tmp_path, plans, undisturbed[0])


def test_f23_killed_inside_saves_the_run_ends_bit_equal(tmp_path, undisturbed):
    expected, events = undisturbed
    assert events > 60
    check(tmp_path, [f"e{event}" for event in range(2, events + 1, 5)], expected)


def test_f23_killed_twice_and_while_resuming(tmp_path, undisturbed):
    check(tmp_path, ["u5,e2,e7", "e40,e12,e30", "u2,u2,u4", "u11,e5,e6,e9"], undisturbed[0])


@pytest.mark.slow
def test_f23_killed_at_every_single_file_system_event(tmp_path, undisturbed):
    expected, events = undisturbed
    check(tmp_path, [f"e{event}" for event in range(1, events + 1)], expected)


def test_f23_the_kills_really_happened(tmp_path):
    assert drive(tmp_path, ["u5,e7"]) == {"u5,e7": [-9, -9, 0]}
