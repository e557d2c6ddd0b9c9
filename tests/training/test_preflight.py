import numpy as np
import pytest

from assets_data.lineage import to_dict
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import exact_walks, make_manifest, publish
from training.machine import Probes
from training.preflight import inspect
from training.recipe import discover

GPU = [{"name": "Small", "bytes": 1 << 34}]
CALM = Probes(free_bytes=lambda path: 1 << 40, cuda_devices=list, installed_version=lambda package: "1.0")
RECIPE = discover()["walk_lm"]


@pytest.fixture
def manifest(store):
    return make_manifest(store)


def report(store, manifest, probes=CALM, **overrides):
    return inspect(store, RECIPE, manifest, tiny(**overrides), probes)


def codes(found, severity="error"):
    return [issue["code"] for issue in found.document["issues"] if issue["severity"] == severity]


def test_a_clean_report_registers_config_thresholds_prompts_and_seeds(store, manifest):
    found = report(store, manifest)
    assert found.registration["ok"] and found.document["issues"] == []
    assert found.registration["schema_version"] == 1 and found.registration["dataset_snapshot_id"] == manifest.id
    assert found.registration["config"] == to_dict(tiny()) and found.registration["model_inputs"]["vocab_size"] == 24
    evaluation = found.registration["evaluation"]
    assert evaluation["thresholds"] == {"edge": 0.95, "rule": 0.8} and evaluation["prompts_per_rule"] == [12, 12, 12]
    assert set(found.findings.tables) == {"trigger_prompts.arrow", "start_prompts.arrow"}
    assert [bound["corpus"] for bound in found.registration["dataset"]["ceilings"]] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("change", [{"gate.seed": 1}, {"gate.rule_threshold": 0.7}, {"gate.start_prompts": 9}], ids=str)
def test_the_evaluation_digest_covers_thresholds_prompts_and_seeds(store, manifest, change):
    digests = [report(store, manifest, **overrides).registration["evaluation"]["digest"] for overrides in ({}, change)]
    assert digests[0] != digests[1]


def test_the_registration_is_the_same_on_another_machine(store, manifest):
    other = Probes(free_bytes=lambda p: 1 << 39, cuda_devices=lambda: GPU, installed_version=lambda p: "2.0")
    here, there = report(store, manifest), report(store, manifest, other)
    assert here.registration == there.registration and here.document != there.document
    assert there.document["accelerator"]["name"] == "Small" and not here.document["accelerator"]["available"]


def test_a_gate_that_cannot_be_reached_is_refused_with_the_context_that_would_do(store, manifest):
    found = report(store, manifest, **{"model.context": 8, "gate.prompt_tokens": 6})
    assert codes(found) == ["WALK_LM_CONTEXT_CEILING"] and not found.registration["ok"]
    message = found.document["issues"][0]["message"]
    assert "17 (r=9" in message and "context 10 would do" in message
    warned = report(store, manifest, **{"model.context": 8, "gate.unattainable": "warning"})
    assert warned.registration["ok"] and codes(warned, "warning") == ["WALK_LM_CONTEXT_CEILING"]


def test_a_corpus_that_breaks_its_rules_is_refused(store):
    walks = np.random.default_rng(0).permuted(exact_walks(300, 0), axis=1)
    found = report(store, publish(store, exact_walks(100, 5), walks))
    assert codes(found) == ["WALK_LM_CORPUS_CEILING"]


def test_too_few_prompts_are_refused_naming_the_rules(store):
    found = report(store, make_manifest(store, heldout=4))
    assert codes(found) == ["WALK_LM_PROMPTS_FEW"] and "(r=" in found.document["issues"][0]["message"]


def test_a_walk_in_both_splits_is_refused(store):
    walks = exact_walks(300, 0)
    assert codes(report(store, publish(store, walks, walks[:150]))) == ["WALK_LM_SPLITS_OVERLAP"]


def test_walks_too_short_for_a_row_are_refused(store, manifest):
    assert set(codes(report(store, manifest, **{"model.context": 48}))) == {"WALK_LM_WALKS_SHORT", "DATASET_EMPTY"}


def test_all_contradictions_of_a_config_are_listed_at_once(store, manifest):
    wrong = {
        "train.updates": 2,
        "train.accumulation": 3,
        "train.schedule.name": "cosin",
        "train.optimizer.name": "adamwu",
        "model.width": 18,
        "gate.rule_threshold": 1.0,
        "gate.prompt_tokens": 99,
    }
    found = report(store, manifest, **wrong)
    paths = {issue["path"] for issue in found.document["issues"]}
    assert {"train.schedule.warmup", "train.accumulation", "train.schedule.name", "train.optimizer.name"} <= paths
    assert {"model.width", "gate.rule_threshold", "gate.prompt_tokens"} <= paths


def test_a_broken_member_is_an_issue_and_not_an_exception(store, manifest):
    corpus = store.snapshot_path(manifest.read_json("manifest.json")["members"]["walk_corpus"])
    table = corpus / "rules.arrow"
    table.write_bytes(table.read_bytes()[:-1])
    found = report(store, manifest)
    assert codes(found) == ["MEMBER_BROKEN"] and found.document["issues"][0]["path"] == "manifest.members.walk_corpus"


@pytest.mark.parametrize(
    ("probe", "overrides", "code"),
    [
        ({"free_bytes": lambda path: 1000}, {}, "DISK_SHORT"),
        ({}, {"train.require_accelerator": True, "train.device": "auto"}, "ACCELERATOR_MISSING"),
        ({"cuda_devices": lambda: GPU}, {"train.require_accelerator": True}, "ACCELERATOR_UNUSED"),
        ({"cuda_devices": lambda: [{"name": "x", "bytes": 9}]}, {"train.device": "cuda"}, "DEVICE_MEMORY_SHORT"),
        ({"installed_version": lambda package: None if package == "tqdm" else "1"}, {}, "DEPENDENCY_MISSING"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_machine_lacks_is_an_error(store, manifest, probe, overrides, code):
    probes = Probes(**{name: probe.get(name, getattr(CALM, name)) for name in Probes.__slots__})
    assert codes(report(store, manifest, probes, **overrides)) == [code]


def test_an_optional_dependency_is_required_only_where_its_optimizer_is_named(store, manifest):
    without = Probes(installed_version=lambda package: None if package == "pytorch_optimizer" else "1")
    assert report(store, manifest, without).registration["ok"]
    assert "DEPENDENCY_MISSING" in codes(report(store, manifest, without, **{"train.optimizer.name": "Lion"}))
