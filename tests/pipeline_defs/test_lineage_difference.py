"""What is said about two environments, by their receipts and by what two trainings wrote down."""

import json
import shutil
from dataclasses import replace

import pytest

from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.tree import load_node, newest
from pipeline_defs.answers.difference import environment_changes
from tests.assets_data.lineage.mini_chain import make_chain

CHECKPOINT = "toy/checkpoint"


@pytest.fixture
def trained(tmp_path):
    """A checkpoint's receipt, and a function that gives the checkpoint with another text in ``training.json``."""
    store = Store(tmp_path / "store")
    checkpoint = make_chain(store)[CHECKPOINT]

    def with_training(text: str) -> Snapshot:
        copy = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(checkpoint.path, copy)
        (copy / "training.json").chmod(0o644)
        (copy / "training.json").write_text(text)
        return Snapshot.open(copy)

    return newest(load_node(store, checkpoint.id)), with_training


def test_threads_and_packages_that_changed_are_named(trained):
    receipt, with_training = trained
    two, one = (with_training(json.dumps({"environment": {"threads": threads, "gpus": []}})) for threads in (2, 1))
    later = replace(receipt, environment={**receipt.environment, "python": "4.0"})
    assert environment_changes(receipt, two, receipt, one) == ["threads: 2 -> 1"]
    changes = environment_changes(receipt, two, later, one)
    assert [change.split(":")[0] for change in changes] == ["python", "threads"]


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"environment": {}}'])
def test_a_training_whose_record_is_gone_or_unreadable_has_not_changed(trained, text):
    receipt, with_training = trained
    whole, broken = with_training('{"environment": {"threads": 2}}'), with_training(text)
    for a, b in ((whole, None), (None, whole), (whole, broken), (broken, whole)):
        assert environment_changes(receipt, a, receipt, b) == []
