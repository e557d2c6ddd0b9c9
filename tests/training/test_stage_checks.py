"""What the checks of a recipe's stages say of a snapshot that is not as it should be."""

import pytest

from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import make_inputs
from training.recipe import discover
from training.stage_checks import gate, lineage_intact, loads_and_rehashes, no_errors
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["walk_lm"]
UNREACHABLE = {"model.context": 8, "gate.prompt_tokens": 6}


def preflight(store, **overrides):
    return make_preflight_report(store, RECIPE, make_inputs(store), tiny(**overrides))


def test_a_preflight_with_errors_fails_and_gives_every_issue_errors_first(store):
    wrong = {"train.updates": 2, "train.accumulation": 3, "model.width": 18, "gate.rule_threshold": 1.0}
    outcome = no_errors(store, preflight(store, **wrong))
    assert not outcome.passed and outcome.facts["errors"] == len(outcome.failures) == 4
    paths = {issue["path"] for issue in outcome.failures}
    assert paths == {"train.schedule.warmup", "train.accumulation", "model.width", "gate.rule_threshold"}
    assert all(issue["code"] and issue["message"] for issue in outcome.failures)


def test_warnings_are_shown_after_the_errors_and_alone_block_nothing(store):
    warned = no_errors(store, preflight(store, **UNREACHABLE, **{"gate.unattainable": "warning"}))
    assert (
        not warned.passed
        and warned.warning
        and warned.facts == {"errors": 0, "warnings": len(warned.failures)}
        and warned.failures
    )
    both = {**UNREACHABLE, "gate.unattainable": "warning", "train.device": "auto", "train.require_accelerator": True}
    outcome = no_errors(store, preflight(store, **both))
    severities = [issue["severity"] for issue in outcome.failures]
    assert (
        not outcome.passed
        and not outcome.warning
        and severities == sorted(severities)
        and set(severities) == {"error", "warning"}
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    from assets_data.lineage import Store

    store = Store(tmp_path_factory.mktemp("checked"))
    report = preflight(store)
    checkpoint = make_checkpoint(store, RECIPE, make_inputs(store), report)
    return store, checkpoint, make_gate_report(store, RECIPE, make_inputs(store), report, checkpoint)


def test_a_sound_checkpoint_passes_with_its_numbers(shared):
    store, checkpoint, _ = shared
    loaded, lineage = loads_and_rehashes(store, checkpoint), lineage_intact(store, checkpoint)
    assert loaded.passed and loaded.facts["parameters"] == checkpoint.stats["parameters"]
    assert lineage.passed and lineage.facts["nodes"] == 5 and lineage.facts["hashed_bytes"] > 0


def test_a_failed_gate_gives_the_criteria_that_were_not_met(shared):
    store, _, report = shared
    outcome = gate(store, report)
    assert not outcome.passed and outcome.failures


def test_a_checkpoint_whose_bytes_changed_fails_by_name(shared, tmp_path):
    import shutil

    from assets_data.lineage import Store

    shutil.copytree(shared[0].root, tmp_path / "store")
    store = Store(tmp_path / "store")
    checkpoint = store.opened(shared[1].id)
    weights = checkpoint.file("model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    for check in (loads_and_rehashes, lineage_intact):
        outcome = check(store, checkpoint)
        assert not outcome.passed and "SNAPSHOT_FILE_DIGEST" in outcome.failures[0]["error"], check
