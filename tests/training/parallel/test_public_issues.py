"""Failures of distributed training that others filed: each has a test here, or a sentence that says why not.

What they are, and what is done about them, stands in docs/how-to/many-devices.md.
"""

import ast
from pathlib import Path

import pytest
import yaml

from assets_data.lineage.receipts.code import ROOT

FAULTS, WORLD = "tests/training/parallel/test_faults.py", "tests/training/parallel/test_world.py"
SAVING = "tests/training/test_saving.py"
SHARDS, JOBS = "tests/training/test_shards.py", "tests/training/launch/test_jobs.py"
ONE = f"{WORLD}::test_every_number_of_processes_makes_one_checkpoint_also_when_it_changes"
ISSUES = {
    "torchtitan 811": [ONE, f"{SHARDS}::test_a_run_goes_on_bit_equal_from_pieces_of_any_number"],
    "pytorch 102821": [ONE, f"{SHARDS}::test_a_run_goes_on_bit_equal_from_pieces_of_any_number"],  # 6 rows on 4, 7, 16
    "Megatron-LM 6024": [f"{SHARDS}::test_pieces_that_do_not_fill_a_tensor_are_refused", ONE],
    "Lightning 16815": [ONE],
    "autocast 381": [f"{FAULTS}::test_a_save_waits_for_a_slow_process_only_where_it_has_pieces_to_add"],
    "spd 536": [f"{FAULTS}::test_a_save_waits_for_a_slow_process_only_where_it_has_pieces_to_add"],
    "torchtune 2093": "No test: that a save counts to its update is how stall_seconds is meant, and the page says so.",
    "transformers 34242": [ONE, "tests/training/parallel/test_lanes.py::test_lanes_give_the_update_of_one_lane"
                                "_to_float_tolerance"],  # hrm_lm's rows, and Labelled's, have unequal items
    "datasets 6623": ["tests/training/parallel/test_lanes.py::test_processes_share_the_lanes_in_order_or_refuse"],
    "torchtitan 930": [f"{SAVING}::test_f23_killed_at_any_moment_of_a_save_behind_it_the_run_ends_bit_equal"],
    "pytorch 170163": [f"{SAVING}::test_no_copy_and_no_thread_is_left_after_it_was_published"],
    "dagster 21331": [f"{JOBS}::test_a_process_id_that_was_used_again_is_no_job"],
    "dagster 22453": [f"{JOBS}::test_a_job_is_joined_cancelled_started_again_and_lost"],
    "dagster 32217": ["tests/training/parallel/test_public_issues.py::test_no_foreign_logger_is_managed"],
}  # fmt: skip


def named_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("issue", ISSUES)
def test_every_issue_has_a_test_or_a_reason_and_a_place_on_the_page(issue):
    found = ISSUES[issue]
    for test in found if isinstance(found, list) else ():
        path, name = test.split("::")
        assert name in named_tests(path)
    assert isinstance(found, list) or found.startswith("No test: ")
    page = (ROOT / "docs" / "how-to" / "many-devices.md").read_text()
    assert issue.split()[1] in page


@pytest.mark.parametrize("path", ["pipeline_defs/settings/dagster.yaml", "dagster.postgres.yaml"])
def test_no_foreign_logger_is_managed(path):
    managed = yaml.safe_load(Path(ROOT / path).read_text())["python_logs"]["managed_python_loggers"]
    assert managed and set(managed) <= {"stemma", "training", "assets_data", "pipeline_defs"}
