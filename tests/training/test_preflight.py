import dataclasses
import json

import numpy as np
import pytest

from assets_data.lineage import to_dict
from tests.training import triples
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import exact_walks, make_inputs, make_manifest, publish
from training.checks import input_issues
from training.config import TrainConfig
from training.machine import Probes
from training.preflight import inspect
from training.recipe import discover

GPU = [{"name": "Small", "bytes": 1 << 34}]
CALM = Probes(
    free_bytes=lambda path: 1 << 40,
    cuda_devices=list,
    installed_version=lambda package: "1.0",
    free_memory=lambda: 1 << 40,
    variable=lambda name: None,
    writable=lambda path: True,
)
RECIPE = discover()["walk_lm"]


@pytest.fixture
def inputs(store):
    return make_inputs(store)


def report(store, inputs, probes=CALM, **overrides):
    return inspect(store, RECIPE, inputs, tiny(**overrides), probes)


def codes(found, severity="error"):
    return [issue["code"] for issue in found.document["issues"] if issue["severity"] == severity]


def test_a_clean_report_registers_config_thresholds_prompts_and_seeds(store, inputs):
    found = report(store, inputs)
    assert found.registration["ok"] and found.document["issues"] == []
    ids = {name: snapshot.id for name, snapshot in inputs.items()}
    assert found.registration["schema_version"] == 2 and found.registration["inputs"] == ids
    assert found.registration["config"] == to_dict(tiny()) and found.registration["model_inputs"]["vocab_size"] == 24
    evaluation = found.registration["evaluation"]
    assert evaluation["thresholds"] == {"edge": 0.95, "rule": 0.8} and evaluation["prompts_per_rule"] == [12, 12, 12]
    assert set(found.findings.tables) == {"trigger_prompts.arrow", "start_prompts.arrow"}
    assert [bound["corpus"] for bound in found.registration["dataset"]["ceilings"]] == [1.0, 1.0, 1.0]


def test_a_warning_of_the_config_keeps_no_check_from_running(store, inputs):
    betas = {"train.optimizer.name": "sm3", "train.optimizer.kwargs": {"momentum": 0.9}}
    found = report(store, inputs, **betas)
    assert codes(found, "warning") == ["OPTIMIZER_NO_DECAY"] and codes(found) == []
    assert found.registration["ok"] and found.document["parameters"] > 0 and found.findings.tables
    by_epochs = report(store, inputs, **betas, **{"train.epochs": 1.0})
    assert codes(by_epochs, "warning") == ["OPTIMIZER_NO_DECAY"]  # looked at again once the length is known


def test_an_optimizer_that_cannot_be_driven_is_refused_once_with_the_reason(store, inputs):
    found = report(store, inputs, **{"train.optimizer.name": "lbfgs"})
    assert codes(found) == ["OPTIMIZER_UNFIT"] and "closure" in found.document["issues"][0]["message"]


@pytest.mark.parametrize("change", [{"gate.seed": 1}, {"gate.rule_threshold": 0.7}, {"gate.start_prompts": 9}], ids=str)
def test_the_evaluation_digest_covers_thresholds_prompts_and_seeds(store, inputs, change):
    digests = [report(store, inputs, **overrides).registration["evaluation"]["digest"] for overrides in ({}, change)]
    assert digests[0] != digests[1]


def test_the_registration_is_the_same_on_another_machine(store, inputs):
    other = Probes(free_bytes=lambda p: 1 << 39, cuda_devices=lambda: GPU, installed_version=lambda p: "2.0")
    here, there = report(store, inputs), report(store, inputs, other)
    assert here.registration == there.registration and here.document != there.document
    assert there.document["accelerator"]["name"] == "Small" and not here.document["accelerator"]["available"]


def test_a_gate_that_cannot_be_reached_is_refused_with_the_context_that_would_do(store, inputs):
    found = report(store, inputs, **{"model.context": 8, "gate.prompt_tokens": 6})
    assert codes(found) == ["WALK_LM_CONTEXT_CEILING"] and not found.registration["ok"]
    message = found.document["issues"][0]["message"]
    assert "17 (r=9" in message and "context 10 would do" in message
    warned = report(store, inputs, **{"model.context": 8, "gate.unattainable": "warning"})
    assert warned.registration["ok"] and codes(warned, "warning") == ["WALK_LM_CONTEXT_CEILING"]


def test_a_corpus_that_breaks_its_rules_is_refused(store):
    walks = np.random.default_rng(0).permuted(exact_walks(300, 0), axis=1)
    found = report(store, publish(store, exact_walks(100, 5), walks))
    assert codes(found) == ["WALK_LM_CORPUS_CEILING"]


def test_too_few_prompts_are_refused_naming_the_rules(store):
    found = report(store, make_inputs(store, heldout=4))
    assert codes(found) == ["WALK_LM_PROMPTS_FEW"] and "(r=" in found.document["issues"][0]["message"]


def test_a_walk_in_both_splits_is_refused(store):
    walks = exact_walks(300, 0)
    assert codes(report(store, publish(store, walks, walks[:150]))) == ["WALK_LM_SPLITS_OVERLAP"]


def test_walks_too_short_for_a_row_are_refused(store, inputs):
    assert set(codes(report(store, inputs, **{"model.context": 48}))) == {"WALK_LM_WALKS_SHORT", "DATASET_EMPTY"}


def test_all_contradictions_of_a_config_are_listed_at_once(store, inputs):
    wrong = {
        "train.updates": 2,
        "train.accumulation": 3,
        "train.schedule.name": "cosin",
        "train.optimizer.name": "adamwu",
        "model.width": 18,
        "gate.rule_threshold": 1.0,
        "gate.prompt_tokens": 99,
    }
    found = report(store, inputs, **wrong)
    paths = {issue["path"] for issue in found.document["issues"]}
    assert {"train.schedule.warmup", "train.accumulation", "train.schedule", "train.optimizer"} <= paths
    assert {"model.width", "gate.rule_threshold", "gate.prompt_tokens"} <= paths


def test_a_broken_member_is_an_issue_and_not_an_exception(store, inputs):
    cut(tokenizer_of(store, inputs) / "tokenizer.json")
    found = report(store, inputs)
    assert codes(found) == ["MEMBER_BROKEN"] and found.document["issues"][0]["path"] == "manifest.members.tokenizer"


@pytest.mark.parametrize(("name", "file"), [("walk_corpus", "rules.arrow"), ("manifest", "manifest.json")])
def test_a_broken_input_is_an_issue_and_not_an_exception(store, inputs, name, file):
    cut(inputs[name].path / file)
    found = report(store, inputs)
    assert codes(found) == ["INPUT_BROKEN"] and found.document["issues"][0]["path"] == f"inputs.{name}"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def tokenizer_of(store, inputs):
    return store.snapshot_path(inputs["manifest"].read_json("manifest.json")["members"]["tokenizer"])


@pytest.mark.parametrize(
    ("probe", "overrides", "code"),
    [
        ({"free_bytes": lambda path: 1000}, {}, "DISK_SHORT"),
        ({}, {"train.require_accelerator": True, "train.device": "auto"}, "ACCELERATOR_MISSING"),
        ({"cuda_devices": lambda: GPU}, {"train.require_accelerator": True}, "ACCELERATOR_UNUSED"),
        ({"cuda_devices": lambda: [{"name": "x", "bytes": 9}]}, {"train.device": "cuda"}, "DEVICE_MEMORY_SHORT"),
        ({"installed_version": lambda package: None if package == "tqdm" else "1"}, {}, "DEPENDENCY_MISSING"),
        ({"free_memory": lambda: 1000}, {}, "MEMORY_SHORT"),
        ({"writable": lambda path: False}, {}, "RUN_DIR_READ_ONLY"),
        (
            {"cuda_devices": lambda: GPU, "variable": lambda name: ":0:0"},
            {"train.device": "auto"},
            "DETERMINISM_WORKSPACE",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_machine_lacks_is_an_error(store, inputs, probe, overrides, code):
    probes = Probes(**{name: probe.get(name, getattr(CALM, name)) for name in Probes.__slots__})
    assert codes(report(store, inputs, probes, **overrides)) == [code]


def test_an_optional_dependency_is_required_only_where_its_optimizer_is_named(store, inputs):
    without = Probes(installed_version=lambda package: None if package == "pytorch_optimizer" else "1")
    assert report(store, inputs, without).registration["ok"]
    assert "DEPENDENCY_MISSING" in codes(report(store, inputs, without, **{"train.optimizer.name": "Lion"}))


def test_every_probe_can_be_stood_in_for(store, inputs):
    """The real machine is not looked at once: probes that fail would be noticed."""
    looked = []

    def probe(name):
        return lambda *arguments: looked.append(name) or getattr(CALM, name)(*arguments)

    report(store, inputs, Probes(**{name: probe(name) for name in Probes.__slots__}))
    assert set(looked) == set(Probes.__slots__)


def test_the_document_says_all_that_a_reader_looks_for(store, inputs):
    document = report(store, inputs).document
    assert {"schema_version", "ok", "inputs", "config", "run_dir", "dataset", "model_inputs"} <= set(document)
    needed = {"requested", "required", "available", "count", "name", "memory_bytes", "minimum_bytes"}
    assert set(document["accelerator"]) == needed
    for row in document["dependencies"]:
        assert set(row) == {"import", "package", "required", "available", "version", "reason"}
    assert document["run_dir"] == str(store.root / "runs") and document["parameters"] > 0


def test_warnings_never_flip_ok(store, inputs):
    found = report(store, inputs, **{"model.context": 8, "gate.unattainable": "warning"})
    assert codes(found, "warning") and found.registration["ok"]


def test_fixture_data_is_refused_unless_allowed(store, inputs):
    fixture = {**inputs, "manifest": make_manifest(store, fixture=True)}
    assert codes(report(store, fixture)) == ["FIXTURE_DATA"]
    assert report(store, fixture, **{"train.allow_fixture": True}).registration["ok"]


def test_a_member_with_a_path_out_of_its_folder_is_refused(store, inputs):
    """Listed in a snapshot.json that is right in every other way; the file itself need not exist."""
    tokenizer = tokenizer_of(store, inputs)
    document = json.loads((tokenizer / "snapshot.json").read_text())
    for name in ("../outside", "/etc/passwd", "a/../../b"):
        document["files"][name] = {"bytes": 1, "sha256": "sha256:0", "part": False}
        (tokenizer / "snapshot.json").write_text(json.dumps(document))
        found = report(store, inputs)
        assert codes(found) == ["MEMBER_BROKEN"] and name in found.document["issues"][0]["message"]
        del document["files"][name]


def test_a_member_made_with_another_tokenizer_is_refused(store):
    found = triples.make_manifest(store)
    other = triples.make_tokenizer(store, "other")
    members = found.read_json("manifest.json")["members"]
    slices = {name: store.snapshot(member) for name, member in members["triples"].items()}
    issues = list(input_issues(store, {"manifest": triples.publish(store, slices, other)}, TrainConfig()))
    assert {issue.code for issue in issues} == {"TOKENIZER_MISMATCH"} and len(issues) == 2
    assert all(other.id in issue.message for issue in issues)


def test_held_out_rows_that_are_trained_on_are_counted(store):
    walks = exact_walks(300, 0)
    found = report(store, publish(store, walks, walks[:150]))
    assert codes(found, "warning") == ["VALIDATION_ROWS_TRAINED"] and "450 of 450" in str(found.document["issues"])


def leaking_inputs(store, inputs):
    """The tokenizer learned from rows of a slice that a later slice holds out for testing."""
    before = triples.make_triples(store, "s-0", triples.make_tokenizer(store), triples.SIZES, 1)
    learned = store.run_stage(
        name="text/tokenizer",
        module="assets_data.lineage.errors",
        config=triples.Nothing(),
        parents={"triples": before},
        build=lambda writer: writer.write_json("tokenizer.json", triples.tokenizer_document("later")),
    )

    def build(writer):
        for split, (name, count) in {"train": ("s-1", 60), "test": ("s-0", 7)}.items():
            writer.write_table(f"{split}.arrow", triples.table(name, "train", count))
            writer.splits[split] = count
        writer.write_json("layout.json", {"tokenizer": learned.id})

    later = store.run_stage(
        name="text/triples",
        module="assets_data.lineage.errors",
        config=triples.Nothing(),
        parents={"tokenizer": learned},
        build=build,
    )
    return {**inputs, "manifest": triples.publish(store, {"s": later}, learned)}, learned


def test_a_tokenizer_that_learned_from_rows_held_out_now_is_refused_or_registered_when_allowed(store, inputs):
    leaking, learned = leaking_inputs(store, inputs)
    refused = report(store, leaking)
    (issue,) = [issue for issue in refused.document["issues"] if issue["severity"] == "error"]
    assert issue["code"] == "LEARNER_LEAK" and learned.id[7:19] in issue["message"] and " 7 records" in issue["message"]
    allowed = report(store, leaking, **{"train.allow_leaks": True})
    assert allowed.registration["ok"] and codes(allowed, "warning") == ["LEARNER_LEAK"]
    (leak,) = allowed.registration["leaks"]
    assert (leak["learner"], leak["kind"], leak["records"]) == (learned.id, "text/tokenizer", 7)
    assert "leaks" not in report(store, inputs).registration


def test_epochs_are_turned_into_updates_and_pinned_in_the_registration(store, inputs):
    found = report(store, inputs, **{"train.epochs": 0.5})
    plan = found.registration["config"]["train"]
    assert (plan["updates"], plan["epochs"]) == (75, None)  # half of 1200 rows in batches of 8
    short = report(store, inputs, **{"train.epochs": 0.01})
    assert codes(short) == ["TRAIN_CONFIG_WARMUP"]  # two updates, all of them warm-up


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"train.optimizer.kwargs": {"momentum": 0.9}}, "OPTIMIZER_ARGUMENTS"),
        ({"train.schedule.name": "rex", "train.schedule.kwargs": {"steps": 1}}, "SCHEDULE_ARGUMENTS"),
        ({"train.trackers": ["neptune"]}, "TRACKER_UNKNOWN"),
    ],
    ids=str,
)
def test_names_and_arguments_are_tried_before_training(store, inputs, change, code):
    assert codes(report(store, inputs, **change)) == [code]


def test_a_tracker_is_a_dependency_where_it_is_asked_for(store, inputs):
    without = dataclasses.replace(CALM, installed_version=lambda package: None if package == "wandb" else "1")
    assert report(store, inputs, without).registration["ok"]
    assert codes(report(store, inputs, without, **{"train.trackers": ["wandb"]})) == ["DEPENDENCY_MISSING"]
