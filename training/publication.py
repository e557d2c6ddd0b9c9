"""What a finished run and a finished evaluation publish: weights, logs, provenance for people, ``result.json``.

Identity is the weights alone; everything else of a checkpoint is a sidecar. ``result.json`` has the shape of published
walk-transformer results: config, metrics with scalars and curves, metadata with ids. One run id goes through it all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, SnapshotWriter, Store, digest_json, to_dict
from assets_data.lineage.receipts.code import commit
from training import stages
from training.branch import Origin
from training.callbacks import evaluating
from training.checkpoint import link, read_state
from training.environment import autocast, reproducible
from training.gate import judge
from training.loop import train
from training.machine import installed_version
from training.metrics import curves, finite, read_lines
from training.recipe import Recipe
from training.run import Run
from training.run_directory import CHECKPOINTS, LOG, METRICS, PASSED, TIMINGS
from training.seeds import derived_seeds


def train_and_publish(
    writer: SnapshotWriter,
    store: Store,
    recipe: Recipe,
    manifest: Snapshot,
    preflight: Snapshot,
    config: Any,
    code: str,
    origin: Origin | None = None,
) -> None:
    """Train in the run directory of (preflight, code, origin) and write the checkpoint's snapshot."""
    identity = [preflight.id, code, *([origin.facts()] if origin else [])]
    run_id = f"{recipe.name}-{digest_json(identity).removeprefix('sha256:')[:16]}"
    data, references = recipe.open_data(store, manifest, config), _references(manifest, preflight)
    run = train(recipe, config, data, store.run_dir(run_id), code=code, origin=origin, references=references)
    shutil.copyfile(run.final / "model.safetensors", writer.part("model.safetensors"))
    for name in (METRICS, TIMINGS, LOG):
        shutil.copyfile(run.directory / name, writer.sidecar(name))
    writer.write_json("config.json", to_dict(config), sidecar=True)
    writer.write_json("manifest.json", manifest.read_json("manifest.json"), sidecar=True)
    facts = _training_facts(run, run_id, manifest, preflight)
    writer.write_json("training.json", facts, sidecar=True)
    writer.stats |= {k: facts[k] for k in ("updates", "rows", "parameters", "bit_exact", f"{recipe.item}_per_s")}
    writer.stats |= {"train_seconds": facts["seconds"]}


def judge_and_publish(
    writer: SnapshotWriter,
    store: Store,
    recipe: Recipe,
    manifest: Snapshot,
    preflight: Snapshot,
    checkpoint: Snapshot,
    config: Any,
) -> None:
    """Run the registered evaluation and write ``result.json``."""
    data = recipe.open_data(store, manifest, config)
    with reproducible(config.train) as device:
        model = stages.load_model(recipe, checkpoint).to(device)
        with evaluating(model), autocast(config.train, device):
            evaluation = recipe.evaluate(model, data, config, preflight)
    registered = preflight.read_json(stages.REGISTRATION)["evaluation"]
    verdict = judge(evaluation.measurements, registered["thresholds"])
    training = checkpoint.read_json("training.json")
    passed = sum(criterion["verdict"] == "pass" for criterion in verdict["criteria"])
    headline = f"gate: {verdict['verdict']} ({passed} of {len(verdict['criteria'])} criteria)"
    if verdict["verdict"] == "pass":
        _keep_for_ever(store, training)
    ids = {"manifest": manifest.id, "preflight_report": preflight.id, "checkpoint": checkpoint.id, **data.members}
    document = {
        "config": to_dict(config),
        "metrics": {
            "scalars": {"gate_passed": verdict["verdict"] == "pass", **finite(evaluation.scalars)},
            "curves": curves(checkpoint.file(METRICS)),
            **finite(evaluation.tables),
        },
        "gate": {**verdict, "registered": registered},
        "metadata": {"run_id": training["run_id"], "recipe": recipe.name, **ids},
        "summary": [headline, *evaluation.summary, *verdict["reasons"]],
    }
    writer.write_json("result.json", document)
    writer.stats |= {"verdict": verdict["verdict"], "criteria": len(verdict["criteria"])}


def _references(manifest: Snapshot, preflight: Snapshot) -> dict[str, Any]:
    """The ids that lie beside every checkpoint of the run, for whoever finds one years later."""
    tokenizer = manifest.read_json("manifest.json")["members"].get("tokenizer")
    return {"manifest": manifest.id, "preflight": preflight.id, "tokenizer": tokenizer}


def _keep_for_ever(store: Store, training: Mapping[str, Any]) -> None:
    """Link the run's checkpoint where no retention looks, if its run directory is in this store."""
    directory = store.root / "runs" / training["run_id"]
    path = directory / CHECKPOINTS / f"{training['updates']:08d}"
    if path.is_dir():
        link(path, directory / PASSED, alone=False)


def _training_facts(run: Run, run_id: str, manifest: Snapshot, preflight: Snapshot) -> dict[str, Any]:
    """The training metadata: what went in, where it ran, what came out. A readable companion of the receipt.

    Equal weights from another run keep the sidecars of the first; the receipts tell the runs apart.
    """
    state = read_state(run.final)
    seconds = state["elapsed_s"]
    rows = run.update * run.plan.batch_rows
    return {
        "run_id": run_id,
        "recipe": run.recipe.name,
        "manifest": manifest.id,
        "preflight": preflight.id,
        "origin": run.fingerprint["origin"],
        "corpus": dict(run.data.members),
        "order": run.order.record(run.update, run.data.tables),
        "rows_digest": state["rows_digest"],
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "source": commit(),
        "version": installed_version("stemma"),
        "code": run.fingerprint["code"],
        "checkpoint_id": state["checkpoint_id"],
        "artifacts": state["files"],
        "model_inputs": dict(run.recipe.model_inputs(run.data, run.config)),
        "environment": run.environment,
        "bit_exact": not run.inexact,
        "inexact": run.inexact,
        "seeds": {"train": run.plan.seed, "derived": derived_seeds(run.plan.seed)},
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "rows": len(run.order),
        "updates": run.update,
        "ended_early": run.ended,
        "epochs": rows / len(run.order),
        "seconds": seconds,
        f"{run.recipe.item}_per_s": rows * run.data.items_per_row / seconds,
        "profile": run.profile.facts(),
        "skipped_updates": int(sum(line.get("skipped", 0) for line in read_lines(run.directory / METRICS))),
        "result": {name: curve["values"][-1] for name, curve in curves(run.directory / METRICS).items()},
    }
