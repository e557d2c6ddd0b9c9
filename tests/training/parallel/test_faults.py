"""A process that dies or stalls ends its whole group; the next group ends bit-equal."""

import random

import pytest

from tests.training.parallel.launch import drive, launch, outcome
from training.checkpoint import stored
from training.run_directory import run_lease


def kills(count: int) -> list[str]:
    """Plans that kill a random rank of 2 or 4, the model cut or not, at a random update; another number goes on."""
    draw = random.Random(18)
    plans = []
    for index in range(count):
        world = draw.choice([2, 4])
        cut, after = draw.choice(["", "f", "b", "fb"]), draw.choice(["1", "2", "4", "2f", "4f"])
        plans.append(f"{world}{cut}k{draw.randrange(world)}u{draw.randrange(1, 12)},{after}@{index}")
    return plans


def check(root, plans):
    statuses = drive(root, ["1", *plans])
    for plan in plans:
        killed, after = statuses[plan]
        assert sorted(killed) == [-9] + [75] * (len(killed) - 1), plan
        assert set(after) == {0} and outcome(root / plan) == outcome(root / "1"), plan
        assert not list((root / plan).rglob(".tmp-*")), plan


@pytest.mark.parametrize(
    ("reduction", "plans"),
    [("exact", ["2", "2fp1u5,2f", "2p1u5,2"]), ("fast", ["2", "2p1u5,2"])],
    ids=["exact", "fast"],
)
def test_a_process_killed_while_another_is_in_a_pass_ends_it_with_75_too(tmp_path, reduction, plans):
    statuses = drive(tmp_path, plans, reduction=reduction)
    for plan in plans[1:]:
        assert statuses[plan] == [[75, -9], [0, 0]] and outcome(tmp_path / plan) == outcome(tmp_path / "2")


def test_a_random_rank_killed_at_a_random_update_ends_all_and_the_restart_is_bit_equal(tmp_path):
    check(tmp_path, kills(4))


@pytest.mark.slow
def test_fifty_random_kills_end_bit_equal(tmp_path):
    check(tmp_path, kills(50))


def test_a_rank_that_stalls_ends_every_process_with_75(tmp_path):
    plans = ["2", "2s1u5,2", "2s0u5,2", "2fs1u5,2f"]
    statuses = drive(tmp_path, plans, stall_seconds=5.0)
    for plan in plans[1:]:
        assert statuses[plan] == [[75, 75], [0, 0]] and outcome(tmp_path / plan) == outcome(tmp_path / "2")
    assert "wait" in (tmp_path / "2s1u5,2" / "ranks" / "1" / "stalled.txt").read_text()


def test_a_signal_to_one_process_stops_all_at_the_same_update_with_its_state_saved(tmp_path):
    statuses = drive(tmp_path, ["2", "2t1u5", "2t0u5", "2ft1u5", "2t1u5,4"])
    assert statuses["2t1u5"] == statuses["2t0u5"] == statuses["2ft1u5"] == [[1, 1]]
    for plan in ("2t1u5", "2t0u5", "2ft1u5"):
        assert [path.name for path in stored(tmp_path / plan / "checkpoints")] == ["00000003", "00000005"]
    assert outcome(tmp_path / "2t1u5,4") == outcome(tmp_path / "2")


def test_a_save_waits_for_a_slow_process_only_where_it_has_pieces_to_add(tmp_path):
    statuses = drive(tmp_path, ["2", "2z1u6", "2fz1u6", "2fz0u6"])
    assert {str(codes) for codes in statuses.values()} == {"[[0, 0]]"}
    assert [(tmp_path / plan / "seen").read_text() for plan in ("2z1u6", "2fz1u6")] == ["True", "False"]
    assert outcome(tmp_path / "2z1u6") == outcome(tmp_path / "2fz1u6") == outcome(tmp_path / "2")


def test_a_process_that_cannot_write_its_pieces_ends_all_and_the_checkpoint_before_stays(tmp_path):
    lost = {"2fd1u5,2f": 1, "2fd0u5,4f": 75, "2fbd1u5,2b": 1}  # rank 0 tells nobody, and the other is in its next pass
    statuses = drive(tmp_path, ["2", *lost])
    for plan, other in lost.items():
        failed, after = statuses[plan]
        assert failed == [1, other] and set(after) == {0}
        assert outcome(tmp_path / plan) == outcome(tmp_path / "2")
        assert not list((tmp_path / plan).rglob(".tmp-*"))


def test_a_number_that_is_not_finite_in_one_process_stops_all_and_nothing_is_saved(tmp_path):
    statuses = drive(tmp_path, ["2", "2fn1u4,2f"])
    failed, after = statuses["2fn1u4,2f"]
    assert (failed, after) == ([1, 1], [0, 0]) and outcome(tmp_path / "2fn1u4,2f") == outcome(tmp_path / "2")


def test_torchrun_ends_with_a_killed_rank_and_leaves_no_process_behind(tmp_path):
    done = launch(2, "tests.training.parallel.driver", tmp_path / "run", "2k1u5", "train.lanes=2")
    assert done.returncode == 1 and "exitcode  : -9" in done.stderr
    with run_lease(tmp_path / "run"), run_lease(tmp_path / "run" / "ranks" / "1"):  # the kernel's word: none holds them
        pass
    again = launch(1, "tests.training.parallel.driver", tmp_path / "run", "1", "train.lanes=2")
    whole = launch(1, "tests.training.parallel.driver", tmp_path / "whole", "1", "train.lanes=2")
    assert again.returncode == whole.returncode == 0, again.stderr
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_an_error_of_all_ends_all(tmp_path):
    done = launch(2, "tests.training.parallel.driver", tmp_path / "run", "2", "train.lanes=1")
    assert done.returncode == 1 and "[LANES_WORLD]" in done.stderr
