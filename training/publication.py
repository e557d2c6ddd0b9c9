"""What a finished run and a finished evaluation publish: weights, logs, provenance for people, ``result.json``.

Identity is the weights alone; everything else of a checkpoint is a sidecar. ``result.json`` has the shape of published
walk-transformer results: config, metrics with scalars and curves, metadata with ids. One run id goes through it all.
"""

from __future__ import annotations

import shutil
from typing import Any

from assets_data.lineage import Snapshot, SnapshotWriter, Store, digest_json, to_dict
from training import stages
from training.callbacks import evaluating
from training.checkpoint import read_state
from training.environment import autocast, report, reproducible
from training.gate import judge
from training.loop import train
from training.metrics import curves
from training.recipe import Recipe
from training.run import Run
from training.run_directory import METRICS, TIMINGS


def train_and_publish(
    writer: SnapshotWriter,
    store: Store,
    recipe: Recipe,
    manifest: Snapshot,
    preflight: Snapshot,
    config: Any,
    code: str,
) -> None:
    """Train in the run directory of (preflight, code) and write the checkpoint's snapshot."""
    run_id = f"{recipe.name}-{digest_json([preflight.id, code]).removeprefix('sha256:')[:16]}"
    data = recipe.open_data(store, manifest, config)
    run = train(recipe, config, data, store.run_dir(run_id), code=code)
    shutil.copyfile(run.final / "model.safetensors", writer.part("model.safetensors"))
    for name in (METRICS, TIMINGS):
        shutil.copyfile(run.directory / name, writer.sidecar(name))
    writer.write_json("config.json", to_dict(config), sidecar=True)
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
    document = {
        "config": to_dict(config),
        "metrics": {
            "scalars": {"gate_passed": verdict["verdict"] == "pass", **evaluation.scalars},
            "curves": curves(checkpoint.file(METRICS)),
            **evaluation.tables,
        },
        "gate": {**verdict, "registered": registered},
        "metadata": {
            "run_id": training["run_id"],
            "recipe": recipe.name,
            "manifest": manifest.id,
            "preflight_report": preflight.id,
            "checkpoint": checkpoint.id,
            **data.members,
        },
        "summary": [headline, *evaluation.summary, *verdict["reasons"]],
    }
    writer.write_json("result.json", document)
    writer.stats |= {"verdict": verdict["verdict"], "criteria": len(verdict["criteria"])}


def _training_facts(run: Run, run_id: str, manifest: Snapshot, preflight: Snapshot) -> dict[str, Any]:
    state = read_state(run.final)
    seconds = state["elapsed_s"]
    items = run.plan.updates * run.plan.batch_rows * run.data.items_per_row
    return {
        "run_id": run_id,
        "recipe": run.recipe.name,
        "manifest": manifest.id,
        "preflight": preflight.id,
        "corpus": dict(run.data.members),
        "code": run.fingerprint["code"],
        "checkpoint_id": state["checkpoint_id"],
        "model_inputs": dict(run.recipe.model_inputs(run.data, run.config)),
        "environment": report(run.device),
        "bit_exact": not run.inexact,
        "inexact": run.inexact,
        "seeds": {"train": run.plan.seed},
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "rows": len(run.order),
        "updates": run.plan.updates,
        "epochs": items / run.data.items_per_row / len(run.order),
        "seconds": seconds,
        f"{run.recipe.item}_per_s": items / seconds,
    }
