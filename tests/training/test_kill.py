"""F23: SIGKILL at any update and at any file-system operation, once, twice, and while resuming."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.checkpoint import read_state, stored

ROOT = Path(__file__).parents[2]
AT_UPDATES = [f"u{update}" for update in range(1, 12)]
IN_SAVES = [f"e{event}" for event in range(2, 100, 7)]
REPEATED = ["u5,e2,e7", "e40,e12,e30", "u2,u2,u4", "u11,e5,e6,e9"]


def drive(root: Path, plans: list[str], recipe: str = "toy") -> dict[str, list[int]]:
    """Exit statuses per plan."""
    command = [sys.executable, "-m", "tests.training.kill_driver", recipe, str(root), *plans]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # numpy's OpenBLAS would start threads when it is imported
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600)
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


def check(root: Path, statuses: dict[str, list[int]], plans: list[str], updates: int = 12) -> None:
    expected = outcome(root / "none")
    assert expected["update"] == updates and expected["inexact"] == []
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


@pytest.fixture(scope="module", params=["walk_lm", "hrm_lm", "hrm_lm/flood"])
def recipe_run(request, tmp_path_factory) -> tuple[str, Path]:
    """A recipe and a folder in which its 30 updates ran undisturbed; an epoch ends after update 15 and after 30."""
    root = tmp_path_factory.mktemp(request.param.replace("/", "_"))
    assert drive(root, ["none"], request.param) == {"none": [0]}
    return request.param, root


@pytest.mark.slow
def test_f23_a_recipe_killed_twice_in_a_row_at_every_update_ends_bit_equal(recipe_run):
    """Update 15 is an epoch's edge; 8, 16 and 24 save, and are killed before they do."""
    recipe, root = recipe_run
    plans = [f"u{update},u{update}" for update in range(1, 31)]
    check(root, drive(root, plans, recipe), plans, updates=30)


@pytest.mark.slow
def test_f23_a_recipe_killed_inside_every_save_step_ends_bit_equal(recipe_run):
    """At every third file-system event of the run's saves, and again at the third of the process that resumes.

    The toy's sweep takes every single event; here four saves shift the third events over the steps of a save.
    """
    recipe, root = recipe_run
    events = int((root / "none.events").read_text())
    plans = [f"e{event},e3" for event in range(1, events + 1, 3)]
    assert events > 60
    check(root, drive(root, plans, recipe), plans, updates=30)


@pytest.mark.parametrize("recipe", ["walk_lm", "hrm_lm/flood"])
def test_f23_a_recipe_killed_at_an_epochs_edge_and_after_it_ends_bit_equal(tmp_path, recipe):
    """``hrm_lm/flood`` draws each update's number of segments by the update's own number."""
    plans = ["u15,u16"]
    check(tmp_path, drive(tmp_path, ["none", *plans], recipe), plans, updates=30)
