"""The three stages of every recipe: preflight report, checkpoint, gate report. Each publishes one snapshot.

The config enters once, at the preflight; training and gate read it from there, and the thresholds too. A checkpoint
made under another preflight is not judged, and a preflight whose bytes changed is not read.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage import ConfigError, GateError, Snapshot, SnapshotWriter, Store, from_dict
from assets_data.lineage.receipts.code import code_version, environment
from assets_data.lineage.receipts.receipt import read_provenance
from training.recipe import Recipe
from training.seeds import derived_seeds

if TYPE_CHECKING:
    from torch import nn

    from training.branch import Origin

REGISTRATION, REPORT = "registration.json", "preflight.json"


def make_preflight_report(store: Store, recipe: Recipe, manifest: Snapshot, config: Any) -> Snapshot:
    """Publish what is known before training. Never fails for an issue it reports: read ``ok`` and ``issues``.

    A clean report is reused on the same machine; one with errors is made anew, as what it complained of may be gone.
    """

    def build(writer: SnapshotWriter) -> None:
        from training.machine import Probes
        from training.preflight import inspect

        report = inspect(store, recipe, manifest, config, Probes())
        writer.write_json(REGISTRATION, report.registration)
        writer.write_json(REPORT, report.document, sidecar=True)
        for name, table in (report.findings.tables if report.findings else {}).items():
            writer.write_table(name, table)
        writer.stats |= {"ok": report.registration["ok"], "issues": len(report.document["issues"])}

    for attempt in itertools.count():
        snapshot = store.run_stage(
            name=f"{recipe.name}/preflight_report",
            module=("training.stages", "training.preflight", _folder(recipe)),
            config=config,
            parents={"manifest": manifest},
            arguments={"machine": _machine(), "attempt": attempt},
            build=build,
        )
        if not snapshot.reused or snapshot.read_json(REGISTRATION)["ok"]:
            break
    return snapshot


def make_checkpoint(
    store: Store, recipe: Recipe, manifest: Snapshot, preflight: Snapshot, origin: Origin | None = None
) -> Snapshot:
    """Train under a clean preflight, or continue where a killed process left off, and publish the final weights.

    With an ``origin`` the run begins from that checkpoint, and the receipt names it. Raises ConfigError
    PREFLIGHT_NOT_OK listing the errors, and what :func:`training.loop.train` raises.
    """
    registration = _registration(manifest, preflight)
    config = from_dict(recipe.config_type, registration["config"])
    code = ("training.publication", _folder(recipe))

    def build(writer: SnapshotWriter) -> None:
        from training.publication import train_and_publish

        train_and_publish(writer, store, recipe, manifest, preflight, config, code_version(*code), origin)

    return store.run_stage(
        name=f"{recipe.name}/checkpoint",
        module=code,
        config=config,
        parents={"manifest": manifest, "preflight": preflight, **_members_read(store, recipe, manifest, config)},
        seeds={"train": config.train.seed, **derived_seeds(config.train.seed)},
        arguments={"origin": origin.facts()} if origin else None,
        build=build,
    )


def make_gate_report(
    store: Store, recipe: Recipe, manifest: Snapshot, preflight: Snapshot, checkpoint: Snapshot
) -> Snapshot:
    """Judge a checkpoint by the evaluation its preflight registered.

    Raises GateError GATE_OTHER_PREFLIGHT when it was not trained under ``preflight``, and IntegrityError when that was
    edited since.
    """
    registration = _registration(manifest, preflight)
    _refuse_other_preflight(store, preflight, checkpoint)
    config = from_dict(recipe.config_type, registration["config"])

    def build(writer: SnapshotWriter) -> None:
        from training.publication import judge_and_publish

        judge_and_publish(writer, store, recipe, manifest, preflight, checkpoint, config)

    return store.run_stage(
        name=f"{recipe.name}/gate_report",
        module=("training.publication", _folder(recipe)),
        config=config,
        parents={
            "manifest": manifest,
            "preflight": preflight,
            "checkpoint": checkpoint,
            **_members_read(store, recipe, manifest, config),
        },
        build=build,
    )


def load_model(recipe: Recipe, checkpoint: Snapshot) -> nn.Module:
    """The model of a published checkpoint, on the CPU and in evaluation mode."""
    from safetensors.torch import load_file

    config = from_dict(recipe.config_type, checkpoint.read_json("config.json"))
    model = recipe.build_model(config, checkpoint.read_json("training.json")["model_inputs"])
    model.load_state_dict(load_file(checkpoint.file("model.safetensors")))
    return model.eval()


def _registration(manifest: Snapshot, preflight: Snapshot) -> dict[str, Any]:
    """What a preflight registered, after checking it to the last value."""
    preflight.verify(deep=True)
    registration = preflight.read_json(REGISTRATION)
    if registration["dataset_snapshot_id"] != manifest.id:
        found = registration["dataset_snapshot_id"]
        raise ConfigError("PREFLIGHT_OTHER_DATA", "made for other data", expected=manifest.id, found=found)
    if not registration["ok"]:
        errors = registration["errors"]
        listed = "; ".join(f"{code} at {path}: {message}" for code, path, message in errors)
        action = "change what the issues name, then run the preflight again"
        raise ConfigError("PREFLIGHT_NOT_OK", f"{len(errors)} errors: {listed}", where=preflight.path, action=action)
    return registration


def _refuse_other_preflight(store: Store, preflight: Snapshot, checkpoint: Snapshot) -> None:
    """The receipts say under which preflights these very weights were made; equal weights may have several."""
    wanted = preflight.id.removeprefix("sha256:")
    recorded = {
        parent.id.removeprefix("sha256:")
        for path in store.receipts(checkpoint.id)
        for parent in read_provenance(path).parents
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


def _members_read(store: Store, recipe: Recipe, manifest: Snapshot, config: Any) -> dict[str, Snapshot]:
    """The snapshots that hold the rows, by the recipe's names for them: what training and gate really read."""
    members = recipe.open_data(store, manifest, config).members
    return {name: store.opened(snapshot_id) for name, snapshot_id in members.items()}


def _folder(recipe: Recipe) -> str:
    return f"training.recipes.{recipe.name}"


def _machine() -> dict[str, Any]:
    """What of the machine a clean preflight depends on, found without torch: installed packages and GPUs."""
    gpus = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    return {"packages": environment()["lock"], "gpus": gpus}
