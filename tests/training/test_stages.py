import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from assets_data.lineage import ConfigError, GateError, IntegrityError, Store, with_overrides
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import make_inputs
from training import publication
from training.checkpoint import read_state
from training.metrics import read_lines
from training.order import Order, OrderDigest, table_keys
from training.recipe import discover
from training.stages import load_model, make_checkpoint, make_gate_report, make_preflight_report

RECIPE = discover()["walk_lm"]


@dataclasses.dataclass
class Chain:
    store: Store
    inputs: dict
    preflight: object
    checkpoint: object
    report: object


def run_chain(store, config) -> Chain:
    inputs = make_inputs(store)
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    report = make_gate_report(store, RECIPE, inputs, preflight, checkpoint)
    return Chain(store, inputs, preflight, checkpoint, report)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One finished chain; tests that break something copy it."""
    return run_chain(Store(tmp_path_factory.mktemp("chain")), tiny())


@pytest.fixture
def chain(shared, tmp_path):
    shutil.copytree(shared.store.root, tmp_path / "store")
    store = Store(tmp_path / "store")
    inputs = {name: store.snapshot(snapshot.id) for name, snapshot in shared.inputs.items()}
    names = ("preflight", "checkpoint", "report")
    return Chain(store=store, inputs=inputs, **{name: store.snapshot(getattr(shared, name).id) for name in names})


def test_every_stage_is_reused_when_nothing_changed(chain):
    again = run_chain(chain.store, tiny())
    assert again.preflight.reused and again.checkpoint.reused and again.report.reused
    assert (again.checkpoint.id, again.report.id) == (chain.checkpoint.id, chain.report.id)


@pytest.mark.parametrize(("name", "file"), [("manifest", "manifest.json"), ("walk_corpus", "rules.arrow")])
def test_a_broken_input_is_listed_with_all_else_before_anything_is_published(chain, name, file):
    path = chain.inputs[name].path / file
    path.write_bytes(path.read_bytes()[:-1])
    wrong = with_overrides(tiny(), {"train.accumulation": 3, "train.schedule.warmup": 10**6})
    with pytest.raises(IntegrityError, match="INPUT_BROKEN") as error:
        make_preflight_report(chain.store, RECIPE, chain.inputs, wrong)
    assert error.value.code == "PREFLIGHT_INPUTS" and error.value.found == [name]
    assert all(path in error.value.what for path in ("train.accumulation", "train.schedule.warmup", f"inputs.{name}"))


def test_another_store_gives_the_same_ids(chain, tmp_path):
    other = run_chain(Store(tmp_path / "other"), tiny())
    assert [other.preflight.id, other.checkpoint.id] == [chain.preflight.id, chain.checkpoint.id]


def test_a_checkpoint_is_its_weights_and_everything_else_is_beside_it(shared):
    parts = {name for name, entry in shared.checkpoint.files.items() if entry["part"]}
    assert parts == {"model.safetensors"}
    documents = {"config.json", "manifest.json", "training.json"}
    assert set(shared.checkpoint.files) - parts == documents | {"metrics.jsonl", "timings.jsonl", "train.log"}
    facts = shared.checkpoint.read_json("training.json")
    assert facts["preflight"] == shared.preflight.id and facts["bit_exact"] and facts["updates"] == 8
    assert facts["tokens_per_s"] > 0 and facts["environment"]["torch"] == torch.__version__


def test_the_published_model_loads_and_predicts(shared):
    model = load_model(RECIPE, shared.checkpoint)
    assert model(torch.zeros(1, 15, dtype=torch.int64)).shape == (1, 15, 24) and not model.training


def test_the_result_has_config_scalars_curves_and_ids(shared):
    result = shared.report.read_json("result.json")
    curves, scalars = result["metrics"]["curves"], result["metrics"]["scalars"]
    losses = [record["loss"] for record in read_lines(shared.checkpoint.file("metrics.jsonl")) if "loss" in record]
    assert curves["train_loss"] == {"updates": list(range(1, 9)), "values": losses}
    assert curves["edge_compliance"]["updates"] == curves["rule_compliance"]["updates"] == [8]
    assert scalars["gate_passed"] is False and len(result["metrics"]["rules"]) == 3
    metadata = result["metadata"]
    assert metadata["checkpoint"] == shared.checkpoint.id and metadata["preflight_report"] == shared.preflight.id
    assert metadata["run_id"] == shared.checkpoint.read_json("training.json")["run_id"]
    assert result["gate"]["verdict"] == "fail" and result["gate"]["reasons"]
    assert result["summary"][0].startswith("gate: fail")
    assert result["gate"]["registered"] == shared.preflight.read_json("registration.json")["evaluation"]


def test_a_killed_training_resumes_in_its_run_directory(store, monkeypatch):
    inputs = make_inputs(store)
    preflight = make_preflight_report(store, RECIPE, inputs, tiny())
    train = publication.train

    def stopped(*arguments, **keywords):
        train(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publication, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            make_checkpoint(store, RECIPE, inputs, preflight)
    runs = list((store.root / "runs").iterdir())
    before = (runs[0] / "timings.jsonl").read_bytes()
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    assert list((store.root / "runs").iterdir()) == runs and checkpoint.file("timings.jsonl").read_bytes() == before


def test_a_preflight_with_errors_trains_nothing_and_lists_them(store):
    inputs = make_inputs(store)
    preflight = make_preflight_report(store, RECIPE, inputs, tiny(**{"model.context": 8, "train.updates": 2}))
    with pytest.raises(ConfigError) as caught:
        make_checkpoint(store, RECIPE, inputs, preflight)
    assert caught.value.code == "PREFLIGHT_NOT_OK" and "TRAIN_CONFIG_WARMUP" in str(caught.value)
    assert not (store.root / "runs").exists()


def test_a_preflight_with_errors_is_made_anew_and_a_clean_one_reused(store):
    inputs = make_inputs(store)
    wrong = tiny(**{"model.context": 8})
    reports = [make_preflight_report(store, RECIPE, inputs, wrong) for _ in range(3)]
    assert not any(report.reused for report in reports) and len({report.id for report in reports}) == 1
    assert [make_preflight_report(store, RECIPE, inputs, tiny()).reused for _ in range(2)] == [False, True]


def test_a_preflight_for_other_data_is_refused(chain):
    other = make_inputs(chain.store, seed=50)
    with pytest.raises(ConfigError) as caught:
        make_checkpoint(chain.store, RECIPE, other, chain.preflight)
    assert caught.value.code == "PREFLIGHT_OTHER_DATA"


def test_the_gate_refuses_a_preflight_registered_after_training(chain):
    lowered = with_overrides(tiny(), {"gate.rule_threshold": 0.0, "gate.edge_threshold": 0.0})
    easier = make_preflight_report(chain.store, RECIPE, chain.inputs, lowered)
    with pytest.raises(GateError) as caught:
        make_gate_report(chain.store, RECIPE, chain.inputs, easier, chain.checkpoint)
    assert caught.value.code == "GATE_OTHER_PREFLIGHT"
    again = make_checkpoint(chain.store, RECIPE, chain.inputs, easier)  # the honest way: register, then train
    report = make_gate_report(chain.store, RECIPE, chain.inputs, easier, again)
    assert again.id == chain.checkpoint.id
    assert report.read_json("result.json")["gate"]["registered"]["thresholds"]["rule"] == 0


@pytest.mark.parametrize("careful", [False, True], ids=["bytes edited", "file list edited too"])
def test_the_gate_refuses_thresholds_edited_in_place(chain, careful):
    path = chain.preflight.file("registration.json")
    document = json.loads(path.read_text())
    document["evaluation"]["thresholds"] = {"edge": 0.0, "rule": 0.0}
    path.write_text(json.dumps(document))
    preflight = chain.preflight
    if careful:
        preflight = forge_file_list(chain.preflight.path, "registration.json")
    with pytest.raises(IntegrityError):
        make_gate_report(chain.store, RECIPE, chain.inputs, preflight, chain.checkpoint)


def forge_file_list(path, name):
    """Make size and digest of a changed file right again, and leave the identity as it was."""
    from assets_data.lineage import Snapshot, digest_file

    manifest = path / "snapshot.json"
    document = json.loads(manifest.read_text())
    entry = {"bytes": (path / name).stat().st_size, "sha256": digest_file(path / name)}
    document["files"][name] |= entry
    manifest.write_text(json.dumps(document))
    forged = Snapshot.open(path)
    forged.verify()
    return forged


def test_a_failed_gate_is_published_with_its_reasons(shared):
    verdict = shared.report.read_json("result.json")["gate"]
    failed = [criterion for criterion in verdict["criteria"] if criterion["verdict"] == "fail"]
    assert len(verdict["reasons"]) == len(failed) > 0
    assert all(criterion["checks"] == 12 for criterion in verdict["criteria"][1:])


def test_receipts_name_the_corpus_that_was_read_beside_the_manifest(shared):
    corpus = shared.inputs["walk_corpus"].id
    for node, names in ((shared.checkpoint, {"manifest", "preflight"}), (shared.report, {"manifest", "checkpoint"})):
        build = json.loads(node.receipt.read_text())["predicate"]["buildDefinition"]
        read = {entry["name"].split("=")[0]: entry["digest"].get("sha256") for entry in build["resolvedDependencies"]}
        assert f"sha256:{read['walk_corpus']}" == corpus and names <= set(read)


def test_the_order_record_says_which_rows_made_every_update(shared):
    """Read back from the record and the tables alone, as lineage does, and compared with what the loop took."""
    facts = shared.checkpoint.read_json("training.json")
    record = facts["order"]
    tables = [(shared.store.snapshot(at["snapshot"]).table(at["file"]), at["chunks"]) for at in record["tables"]]
    keys = np.concatenate([table_keys(table["row_key"].to_numpy(), chunks) for table, chunks in tables])
    order, digest = Order(record["seed"], keys, record["batch_rows"]), OrderDigest()
    for update in range(record["updates"]):
        digest.add(order.keys(update))
    assert digest.hex() == facts["rows_digest"] and record["updates"] == 8


def test_training_metadata_tells_command_commit_seeds_artifacts_and_result(shared):
    facts = shared.checkpoint.read_json("training.json")
    assert {"command", "source", "version", "inputs", "preflight", "seeds", "artifacts", "result", "profile"} <= set(
        facts
    )
    derived = facts["seeds"]["derived"]
    assert len(set(derived.values())) == len(derived) == 4 and facts["seeds"]["train"] not in derived.values()
    assert facts["environment"]["gpus"] == [] and facts["environment"]["lock"].startswith("sha256:")
    assert facts["environment"]["determinism"]["deterministic_algorithms"] is True
    last = [record for record in read_lines(shared.checkpoint.file("metrics.jsonl")) if "loss" in record][-1]
    assert facts["result"]["train_loss"] == last["loss"] and facts["result"]["val_loss"] > 0
    model = facts["artifacts"]["model.safetensors"]
    assert model == shared.checkpoint.files["model.safetensors"]["sha256"]
    assert shared.checkpoint.read_json("manifest.json") == shared.inputs["manifest"].read_json("manifest.json")


def test_a_checkpoint_that_passed_its_gate_is_kept_for_ever(chain):
    run = chain.store.root / "runs" / chain.checkpoint.read_json("training.json")["run_id"]
    assert not (run / "gate_passed").exists()  # it failed
    longer = {"train.updates": 300, "train.optimizer.lr": 1e-2}
    easy = tiny(**{"gate.rule_threshold": 0.0, "gate.edge_threshold": 0.0, **longer})
    passed = run_chain(chain.store, easy)
    assert passed.report.read_json("result.json")["gate"]["verdict"] == "pass"
    run = chain.store.root / "runs" / passed.checkpoint.read_json("training.json")["run_id"]
    shutil.rmtree(run / "checkpoints")
    assert (
        read_state(run / "gate_passed" / "00000300")["checkpoint_id"]
        == passed.checkpoint.read_json("training.json")["checkpoint_id"]
    )


def test_s01_a_full_run_never_unpickles(store, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    run_chain(store, tiny())
