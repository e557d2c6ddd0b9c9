"""F23: SIGKILL at any update and at any file-system operation, once, twice, and while resuming."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from training.checkpoint import read_state, stored

ROOT = Path(__file__).parents[2]
AT_UPDATES = [f"u{update}" for update in range(1, 12)]
IN_SAVES = [f"e{event}" for event in range(2, 100, 7)]
REPEATED = ["u5,e2,e7", "e40,e12,e30", "u2,u2,u4", "u11,e5,e6,e9"]


def drive(root: Path, plans: list[str]) -> dict[str, list[int]]:
    """Exit statuses per plan."""
    command = [sys.executable, "-m", "tests.training.kill_driver", str(root), *plans]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: [int(code) for code in line.split()[1:]] for line in done.stdout.splitlines()}


def outcome(directory: Path) -> dict[str, str]:
    """All that must be bit-equal: weights, optimizer, generators, history, cursor."""
    state = read_state(stored(directory / "checkpoints")[-1])
    history = hashlib.sha256((directory / "metrics.jsonl").read_bytes()).hexdigest()
    return {**state["files"], "history": history, "update": state["update"], "inexact": state["inexact"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def statuses(root) -> dict[str, list[int]]:
    """Every plan of the fast set, driven by one process."""
    return drive(root, ["none", *AT_UPDATES, *IN_SAVES, *REPEATED])


def check(root: Path, statuses: dict[str, list[int]], plans: list[str]) -> None:
    expected = outcome(root / "none")
    assert expected["update"] == 12 and expected["inexact"] == []
    for plan in plans:
        assert statuses[plan] == [-9] * len(plan.split(",")) + [0], plan
        assert outcome(root / plan) == expected, plan
        assert not list((root / plan).rglob(".tmp-*")), plan


def test_f23_killed_at_any_update_the_run_ends_bit_equal(root, statuses):
    check(root, statuses, AT_UPDATES)


def test_f23_killed_inside_saves_the_run_ends_bit_equal(root, statuses):
    check(root, statuses, IN_SAVES)


def test_f23_killed_twice_and_while_resuming_the_run_ends_bit_equal(root, statuses):
    check(root, statuses, REPEATED)


@pytest.mark.slow
def test_f23_killed_at_every_single_file_system_event_the_run_ends_bit_equal(root, statuses, tmp_path):
    plans = [f"e{event}" for event in range(1, int((root / "none.events").read_text()) + 1)]
    found = drive(tmp_path, plans)
    assert len(plans) > 100
    (tmp_path / "none").symlink_to(root / "none")
    check(tmp_path, found, plans)
