"""What a finished run and a finished evaluation publish: weights, logs, provenance for people, ``result.json``.

Identity is the weights alone; everything else of a checkpoint is a sidecar. ``result.json`` has the shape of published
walk-transformer results: config, metrics with scalars and curves, metadata with ids. One run id goes through it all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.documents import FACTS, RESULT, VERSIONS, read_facts, read_manifest
from assets_data.lineage import Snapshot, SnapshotWriter, Store, to_dict
from assets_data.lineage.queries.explain import ORIGIN
from assets_data.lineage.receipts.code import commit
from training import stages
from training.branch import Origin
from training.callbacks import Callback, evaluating
from training.checkpoint import MODEL, link, read_state, write_model
from training.config import derived_seeds
from training.environment import autocast, reproducible
from training.gate import judge
from training.job import Job, references, run_name
from training.loop import train
from training.machine import installed_version
from training.metrics import curves, finite, read_lines
from training.parallel.follow import order
from training.parallel.world import ALONE, World
from training.run import Run
from training.run_directory import CHECKPOINTS, LOG, METRICS, PASSED, TIMINGS


def train_and_publish(
    writer: SnapshotWriter,
    job: Job,
    code: str,
    origin: Origin | None = None,
    callbacks: Sequence[Callback] = (),
    world: World = ALONE,
) -> None:
    """Train in the run directory of (preflight, code, origin) and write the checkpoint's snapshot.

    The other processes of ``world`` train the same run: see :mod:`training.parallel.follow`.
    """
    facts = origin.facts() if origin and not origin.same_run else {}
    mother = {ORIGIN: origin.published} if origin and origin.published else {}
    run_id = run_name(job, code, facts)
    order(world, job, run_id, code, origin)
    run = train(
        job.recipe,
        job.config,
        job.data,
        job.store.run_dir(run_id),
        code=code,
        callbacks=callbacks,
        origin=origin,
        references={**references(job), **mother},
        world=world,
    )
    write_model(run.final, writer.part(MODEL))
    for name in (METRICS, TIMINGS, LOG):
        shutil.copyfile(run.directory / name, writer.sidecar(name))
    writer.write_json("config.json", to_dict(job.config), sidecar=True)
    if "manifest" in job.inputs:
        writer.write_json("manifest.json", read_manifest(job.inputs["manifest"]), sidecar=True)
    training = _training_facts(run, run_id, job)
    writer.write_json(FACTS, training, sidecar=True)
    writer.environment |= world.facts()
    if run.taken_over:  # the same weights may be published already, with another run's training.json
        writer.found["taken_over"] = dict(run.taken_over)
    writer.stats |= {k: training[k] for k in ("updates", "rows", "parameters", "bit_exact", f"{job.recipe.item}_per_s")}
    writer.stats |= {"train_seconds": training["seconds"]}


def judge_and_publish(writer: SnapshotWriter, job: Job, checkpoint: Snapshot) -> None:
    """Run the registered evaluation and write ``result.json``."""
    data, recipe, config = job.data, job.recipe, job.config
    with reproducible(config.train) as device:
        model = stages.load_model(recipe, checkpoint).to(device)
        with evaluating(model), autocast(config.train, device):
            evaluation = recipe.evaluate(model, data, config, job.preflight)
    registered = job.registration["evaluation"]
    verdict = judge(evaluation.measurements, registered["thresholds"])
    training = read_facts(checkpoint)
    passed = sum(criterion["verdict"] == "pass" for criterion in verdict["criteria"])
    headline = f"gate: {verdict['verdict']} ({passed} of {len(verdict['criteria'])} criteria)"
    if verdict["verdict"] == "pass":
        _keep_for_ever(job.store, training)
    inputs = {name: snapshot.id for name, snapshot in job.inputs.items()}
    ids = {**inputs, "preflight_report": job.preflight.id, "checkpoint": checkpoint.id, **data.members}
    document = {
        "schema_version": VERSIONS[RESULT],
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
    writer.write_json(RESULT, document)
    writer.stats |= {"verdict": verdict["verdict"], "criteria": len(verdict["criteria"])}


def _keep_for_ever(store: Store, training: Mapping[str, Any]) -> None:
    """Link the run's checkpoint where no retention looks, if its run directory is in this store."""
    directory = store.root / "runs" / training["run_id"]
    path = directory / CHECKPOINTS / f"{training['updates']:08d}"
    if path.is_dir():
        link(path, directory / PASSED, alone=False)


def _training_facts(run: Run, run_id: str, job: Job) -> dict[str, Any]:
    """The training metadata: what went in, where it ran, what came out. A readable companion of the receipt.

    Equal weights from another run keep the sidecars of the first; the receipts tell the runs apart.
    """
    return {
        "run_id": run_id,
        "recipe": run.recipe.name,
        "task": run.recipe.task,
        "schema_version": VERSIONS[FACTS],
        **_what_went_in(run, job),
        **_where_it_ran(run),
        **_what_came_out(run, read_state(run.final)),
    }


def _what_went_in(run: Run, job: Job) -> dict[str, Any]:
    return {
        "inputs": {name: snapshot.id for name, snapshot in job.inputs.items()},
        "preflight": job.preflight.id,
        "origin": run.fingerprint["origin"],
        "taken_over": run.taken_over,
        "corpus": dict(run.data.members),
        "order": run.order.record(run.update, run.data.tables),
        "model_inputs": dict(run.recipe.model_inputs(run.data, run.config)),
        "seeds": {"train": run.plan.seed, "derived": derived_seeds(run.plan.seed)},
    }


def _where_it_ran(run: Run) -> dict[str, Any]:
    """The command, code and machine, and whether the same again would give the same bits."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "source": commit(),
        "version": installed_version("stemma"),
        "code": run.fingerprint["code"],
        "environment": run.environment,
        "bit_exact": not run.inexact,
        "inexact": run.inexact,
        "profile": run.profile.facts(),
    }


def _what_came_out(run: Run, state: Mapping[str, Any]) -> dict[str, Any]:
    seconds, rows = state["elapsed_s"], run.update * run.plan.batch_rows
    return {
        "rows_digest": state["rows_digest"],
        "checkpoint_id": state["checkpoint_id"],
        "artifacts": state["files"],
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "rows": len(run.order),
        "updates": run.update,
        "ended_early": run.ended,
        "epochs": rows / len(run.order),
        "seconds": seconds,
        f"{run.recipe.item}_per_s": rows * run.data.items_per_row / seconds,
        "skipped_updates": int(sum(line.get("skipped", 0) for line in read_lines(run.directory / METRICS))),
        "result": {name: curve["values"][-1] for name, curve in curves(run.directory / METRICS).items()},
    }
