"""What the stages of every recipe make: preflight report, checkpoint, gate report. Each publishes one snapshot.

The config enters once, at the preflight; training and gate read it from there, and the thresholds too. A checkpoint
made under another preflight is not judged, and a preflight whose bytes changed is not read.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.documents import REGISTRATION, read_facts, read_registration
from assets_data.lineage import GateError, IntegrityError, Snapshot, SnapshotWriter, Store, from_recorded
from assets_data.lineage.queries.explain import ORIGIN
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.code import code_version, environment
from assets_data.lineage.receipts.reader import read_receipt
from assets_data.lineage.storage.sealing import Outside
from training.config import derived_seeds
from training.job import Job, named_inputs, run_name
from training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from training.branch import Origin
    from training.callbacks import Callback
    from training.parallel.world import World

REPORT = "preflight.json"


def make_preflight_report(store: Store, recipe: Recipe, inputs: Mapping[str, Snapshot], config: Any) -> Snapshot:
    """Publish what is known before training. Never fails for an issue it reports: read ``ok`` and ``issues``.

    A clean report is reused on the same machine; one with errors is made anew, as what it complained of may be gone.
    No report can say that it read an input which is not what it was: raises IntegrityError PREFLIGHT_INPUTS then, which
    lists what is wrong with the others and with the config as well.
    """
    chosen = named_inputs(recipe, inputs)
    _require_whole(store, recipe, chosen, config)

    def build(writer: SnapshotWriter) -> None:
        from training.machine import Probes
        from training.preflight import inspect

        report = inspect(store, recipe, chosen, config, Probes())
        writer.write_json(REGISTRATION, report.registration)
        writer.write_json(REPORT, report.document, sidecar=True)
        for name, table in (report.findings.tables if report.findings else {}).items():
            writer.write_table(name, table)
        writer.stats |= {"ok": report.registration["ok"], "issues": len(report.document["issues"])}

    for attempt in itertools.count():
        snapshot = store.run_stage(
            name=f"{recipe.name}/preflight_report",
            module=preflight_code(recipe),
            config=config,
            parents=chosen,
            arguments={"machine": _machine(), "attempt": attempt},
            build=build,
            outside=Outside(reads=_ancestors(store, chosen)),
        )
        if not snapshot.reused or read_registration(snapshot)["ok"]:
            break
    return snapshot


def make_checkpoint(
    store: Store,
    recipe: Recipe,
    inputs: Mapping[str, Snapshot],
    preflight: Snapshot,
    origin: Snapshot | None = None,
    state: Path | None = None,
    reset_progress: bool = False,
    callbacks: Sequence[Callback] = (),
    world: World | None = None,
) -> Snapshot:
    """Train under a clean preflight, or continue where a killed process left off, and publish the final weights.

    ``origin`` is a published checkpoint whose weights the run begins from, or a published training state that it takes
    over whole, or only its weights with ``reset_progress``; it becomes a parent. ``state`` is a checkpoint folder of a
    run that this one would pass through bit for bit (see :func:`training.branch.same_run`): it saves the updates before
    and changes nothing else. ``callbacks`` look on and are no part of any identity: of a checkpoint that was published
    before they see nothing. ``world`` are the processes that train it, this one alone if not given, and no identity.

    Raises ConfigError PREFLIGHT_NOT_OK listing the errors, and what :func:`training.loop.train` raises.
    """
    job = Job(store=store, recipe=recipe, inputs=named_inputs(recipe, inputs), preflight=preflight)
    code = training_code(recipe)

    def build(writer: SnapshotWriter) -> None:
        from training.publication import train_and_publish

        devices = {"world": world} if world else {}
        train_and_publish(
            writer, job, code_version(*code), _origin(origin, state, reset_progress), callbacks, **devices
        )

    return store.run_stage(
        name=f"{recipe.name}/checkpoint",
        module=code,
        config=job.config,
        parents={**job.parents, **({ORIGIN: origin} if origin else {})},
        seeds={"train": job.config.train.seed, **derived_seeds(job.config.train.seed)},
        arguments={"reset_progress": True} if origin and reset_progress else None,
        build=build,
        outside=_run_folder(job, code_version(*code), origin, state, reset_progress),
    )


def make_gate_report(
    store: Store, recipe: Recipe, inputs: Mapping[str, Snapshot], preflight: Snapshot, checkpoint: Snapshot
) -> Snapshot:
    """Judge a checkpoint by the evaluation its preflight registered.

    Raises GateError GATE_OTHER_PREFLIGHT when it was not trained under ``preflight``, and IntegrityError when that was
    edited since.
    """
    job = Job(store=store, recipe=recipe, inputs=named_inputs(recipe, inputs), preflight=preflight)
    config = job.config
    _refuse_other_preflight(store, preflight, checkpoint)

    def build(writer: SnapshotWriter) -> None:
        from training.publication import judge_and_publish

        judge_and_publish(writer, job, checkpoint)

    run = store.root / "runs" / read_facts(checkpoint)["run_id"]
    return store.run_stage(
        name=f"{recipe.name}/gate_report",
        module=training_code(recipe),
        config=config,
        parents={**job.parents, "checkpoint": checkpoint},
        build=build,
        outside=Outside(reads=_ancestors(store, job.parents), writes=[run] if run.is_dir() else []),
    )


def _ancestors(store: Store, inputs: Mapping[str, Snapshot]) -> list[Path]:
    """All ancestors of the inputs, with receipts, for a process that is shut in: each is asked whether a learner
    saw what is held out, and an encoder is judged as it was registered.
    """
    if not store.builder:
        return []
    tree = load_tree(store, [snapshot.id for snapshot in inputs.values()])
    return [path for key in tree for path in (store.snapshot_path(key), store.root / "receipts" / key[7:])]


def preflight_code(recipe: Recipe) -> tuple[str, ...]:
    """The modules that decide a preflight report."""
    return ("training.stages", "training.preflight", recipe.package)


def training_code(recipe: Recipe) -> tuple[str, ...]:
    """The modules that decide a checkpoint and its gate report."""
    return ("training.publication", recipe.package)


def config_of(recipe: Recipe, checkpoint: Snapshot) -> Any:
    """The config that a published checkpoint was trained with, of this or an older version."""
    return from_recorded(recipe.config_type, checkpoint.read_json("config.json"))


def load_model(recipe: Recipe, checkpoint: Snapshot) -> nn.Module:
    """The model of a published checkpoint, on the CPU and in evaluation mode."""
    from safetensors.torch import load_file

    config = config_of(recipe, checkpoint)
    model = recipe.build_model(config, read_facts(checkpoint)["model_inputs"])
    model.load_state_dict(load_file(checkpoint.file("model.safetensors")))
    return model.eval()


def _require_whole(store: Store, recipe: Recipe, inputs: Mapping[str, Snapshot], config: Any) -> None:
    broken: list[str] = []
    for name, snapshot in inputs.items():
        try:
            snapshot.verify()
        except IntegrityError:
            broken.append(name)
    if not broken:
        return
    from training.checks import config_issues, input_issues

    issues = [*input_issues(store, inputs, config.train), *config_issues(recipe, config)]
    errors = [issue for issue in issues if issue.severity == "error"]
    listed = "; ".join(f"{issue.code} at {issue.path}: {issue.message}" for issue in errors)
    action = "run the stages that made the broken inputs again, and change what the other issues name"
    raise IntegrityError("PREFLIGHT_INPUTS", f"{len(errors)} errors: {listed}", found=broken, action=action)


def _run_folder(job: Job, code: str, published: Snapshot | None, state: Path | None, reset_progress: bool) -> Outside:
    """The run's own directory, and the state it takes over."""
    origin = _origin(published, None, reset_progress) if published else None
    run = job.store.root / "runs" / run_name(job, code, origin.facts() if origin else {})
    return Outside(writes=[run], reads=[*_ancestors(job.store, job.parents), *([state] if state else [])])


def _origin(published: Snapshot | None, state: Path | None, reset_progress: bool) -> Origin | None:
    from training.branch import Origin, published_origin

    if published is not None:
        return published_origin(published, reset_progress)
    return Origin(checkpoint=state, same_run=True) if state else None


def _refuse_other_preflight(store: Store, preflight: Snapshot, checkpoint: Snapshot) -> None:
    """The receipts say under which preflights these very weights were made; equal weights may have several."""
    wanted = preflight.id.removeprefix("sha256:")
    recorded = {
        parent.id.removeprefix("sha256:")
        for path in store.receipts(checkpoint.id)
        for parent in read_receipt(path).parents
        if parent.input == "preflight"
    }
    if wanted not in recorded:
        raise GateError(
            "GATE_OTHER_PREFLIGHT",
            "the checkpoint was not trained under this preflight: its thresholds and prompts were not fixed before",
            expected=f"one of {sorted(recorded)}",
            found=wanted,
            action="judge with the preflight it was trained under, or train again under this one",
        )


def _machine() -> dict[str, Any]:
    """What of the machine a clean preflight depends on, found without torch: installed packages and GPUs."""
    gpus = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    return {"packages": environment()["lock"], "gpus": gpus}
