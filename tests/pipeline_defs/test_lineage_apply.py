"""A withdrawal carried out on the real chain: the weights are those of a run that never held the records."""

import dataclasses
import json
from pathlib import Path

import pytest

from assets_data.lineage import Snapshot, Store
from assets_data.text.manifest import make_dataset_manifest
from assets_data.text.raw_slice import record_id
from assets_data.text.triples import make_triples
from assets_data.walks.config import smoke as walks
from assets_data.walks.corpus import make_walk_corpus
from pipeline_defs.cli import main
from pipeline_defs.lineage.trained import TrainedRows
from tests.assets_data.text.corpora import TEXT, documents, raw_of, trained
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

TEXTS = documents(80)
RECIPE = discover()["hrm_lm"]


def config():
    full = RECIPE.presets["smoke"]()
    train = dataclasses.replace(full.train, updates=30, checkpoint_every=2, keep_checkpoints=15, monitor_every=30)
    return dataclasses.replace(full, train=dataclasses.replace(train, validate_every=30, batch_rows=4))


def make_data(store: Store, folder: Path, texts: list[str], learned_from: list[str]) -> dict[str, Snapshot]:
    """One slice of ``texts`` under a tokenizer and a graph that learned from another set."""
    learned = raw_of(store, folder / "learned", learned_from)
    tokenizer = trained(store, learned)
    corpus = make_walk_corpus(store, [make_triples(store, learned, tokenizer, TEXT)], tokenizer, walks())
    raw = raw_of(store, folder / "texts", texts)
    triples = make_triples(store, raw, tokenizer, TEXT)
    manifest = make_dataset_manifest(store, {"files-0": triples}, tokenizer, corpus)
    return {
        "text/raw_slice/files-0": raw,
        "text/tokenizer": tokenizer,
        "text/triples/files-0": triples,
        "text/walk_corpus": corpus,
        "text/dataset_manifest": manifest,
    }


def train(store: Store, manifest: Snapshot) -> dict[str, Snapshot]:
    preflight = make_preflight_report(store, RECIPE, manifest, config())
    checkpoint = make_checkpoint(store, RECIPE, manifest, preflight)
    report = make_gate_report(store, RECIPE, manifest, preflight, checkpoint)
    return {"hrm_lm/preflight_report": preflight, "hrm_lm/checkpoint": checkpoint, "hrm_lm/gate_report": report}


@pytest.mark.slow
def test_the_weights_after_a_withdrawal_are_those_of_a_run_that_never_held_the_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    store = Store(tmp_path / "root" / "store")
    nodes = make_data(store, tmp_path / "with", TEXTS, TEXTS)
    nodes |= train(store, nodes["text/dataset_manifest"])
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    rows = TrainedRows(store, nodes["hrm_lm/checkpoint"])
    first = {text: uses[0] for text in TEXTS if (uses := rows.uses(bytes.fromhex(record_id(text))))}
    withdrawn = max(first, key=lambda text: first[text])
    assert first[withdrawn] > 4  # late enough for a clean state to be kept

    capsys.readouterr()  # what training said
    assert main(["withdraw", record_id(withdrawn), "--apply", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert 0 < answer["restarts"]["hrm_lm/checkpoint"]["clean_step"] < first[withdrawn]
    assert main(["uses", record_id(withdrawn), "--json"]) == 0
    now = json.loads(capsys.readouterr().out)["uses"]
    assert not [entry for entry in now if entry["how"] in ("holds", "saw") and entry["names"]]
    assert main(["explain", "hrm_lm/gate_report"]) == 0

    other = Store(tmp_path / "never" / "store")
    left = [text for text in TEXTS if text != withdrawn]
    never = make_data(other, tmp_path / "without", left, TEXTS)
    never |= train(other, never["text/dataset_manifest"])
    after = {name: store.pointed(name) for name in nodes}
    assert after["hrm_lm/checkpoint"].id == never["hrm_lm/checkpoint"].id != nodes["hrm_lm/checkpoint"].id
    assert (
        after["text/triples/files-0"].content["parts"]["train"]
        == never["text/triples/files-0"].content["parts"]["train"]
    )
    assert nodes["hrm_lm/checkpoint"].path.is_dir()  # marked, not deleted
