"""Trained on mazes, a checkpoint has its manifest for an anchor alone: after a withdrawal its weights are the same."""

import json

import pytest

from assets_data.domains.text.raw_slice import record_id
from assets_data.lineage import Store, with_overrides
from assets_data.lineage.receipts.reader import read_receipt
from pipeline_defs.commands.cli import main
from tests.assets_data.domains.text.corpora import documents
from tests.pipeline_defs.text_chain import make_data
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

RECIPE, SLICES = discover()["hrm_lm"], {"a": documents(40)}
SHORT = {
    "train.updates": 6, "train.schedule.warmup": 0, "train.batch_rows": 4, "train.checkpoint_every": 3,
    "train.monitor_every": 0, "train.validate_every": 0, "data.mazes": 20, "data.judged_mazes": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    store = Store(root / "store")
    nodes = make_data(store, root / "slices", SLICES)
    inputs = {"manifest": nodes["text/dataset_manifest"]}
    config = with_overrides(RECIPE.presets["flood"](), SHORT)
    nodes["hrm_lm/preflight_report"] = preflight = make_preflight_report(store, RECIPE, inputs, config)
    nodes["hrm_lm/checkpoint"] = checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    nodes["hrm_lm/gate_report"] = make_gate_report(store, RECIPE, inputs, preflight, checkpoint)
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    return root, store, inputs["manifest"], checkpoint


def test_a_withdrawn_record_was_seen_by_no_update_and_the_checkpoint_made_again_has_the_same_weights(
    chain, monkeypatch, capsys
):
    root, store, manifest, before = chain
    monkeypatch.setenv("STEMMA_ROOT", str(root))

    def ask(*arguments):
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    withdrawn = record_id(SLICES["a"][7])
    used = [entry for entry in ask("uses", withdrawn)["uses"] if entry["names"]]
    assert "text/triples/a" in [name for entry in used for name in entry["names"]]
    assert not [entry for entry in used if "hrm_lm/checkpoint" in entry["names"] and entry["how"] == "saw"]
    applied = ask("withdraw", withdrawn, "--apply")["applied"]
    after = store.pointed("hrm_lm/checkpoint")
    assert applied["hrm_lm/checkpoint"]["from_step"] == 0 and after.id == before.id, "its content is its weights"
    assert after.receipt != before.receipt
    read = {parent.kind: parent.id for parent in read_receipt(after.receipt).parents}
    assert read["text/dataset_manifest"] == store.pointed("text/dataset_manifest").id != manifest.id
    assert not [
        entry for entry in ask("uses", withdrawn)["uses"] if entry["how"] in ("holds", "saw") and entry["names"]
    ]
    ask("explain", "hrm_lm/gate_report")
    assert main(["rebuild", "hrm_lm/checkpoint", "--into", str(root / "again")]) == 0
