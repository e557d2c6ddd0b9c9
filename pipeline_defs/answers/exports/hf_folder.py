"""A Hugging Face style folder: weights, config, model card with front matter, and the lineage beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from assets_data.lineage import DataError
from assets_data.lineage.plain import plain
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.exports.croissant import croissant
from pipeline_defs.answers.exports.cyclonedx import cyclonedx
from pipeline_defs.answers.exports.json_text import pretty
from pipeline_defs.answers.exports.model_facts import ModelFacts, model_facts


def write_hf_folder(tree: Mapping[str, Node], root: str, target: Path) -> list[Path]:
    """Write the folder; every file of the checkpoint is checked as it is copied. Raises DataError for one in use."""
    snapshot = tree[root].snapshot
    if target.exists():
        raise DataError("EXPORT_EXISTS", "the folder is there already", where=target, action="name another")
    if snapshot is None:
        raise DataError("EXPORT_NO_MODEL", "the checkpoint is gone", found=root)
    temp = atomic.temp_beside(target)
    with atomic.disk_errors(target):
        temp.mkdir(parents=True)
        try:
            for name in snapshot.files:
                snapshot.check_file(name)
                shutil.copyfile(snapshot.path / name, temp / name)
            documents = {"lineage.json": make_bundle(tree, root), "bom.cdx.json": cyclonedx(tree, root)}
            for name, document in {**documents, "croissant.json": croissant(tree, root)}.items():
                (temp / name).write_bytes(pretty(document))
            (temp / "README.md").write_text(model_card(tree, root), encoding="utf-8")
            if not atomic.publish_directory(temp, target):
                raise DataError("EXPORT_EXISTS", "the folder is there already", where=target, action="name another")
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return sorted(target.iterdir())


def model_card(tree: Mapping[str, Node], root: str) -> str:
    """The README.md: front matter as JSON values, which are YAML, then what made the model."""
    facts = model_facts(tree, root)
    front = {
        "library_name": "stemma",
        "tags": ["stemma", facts.recipe],
        "datasets": [f"{node.kind}@{node.id}" for node in facts.datasets],
        "model-index": [{"name": facts.name, "results": _results(facts)}],
    }
    lines = [
        "---",
        *(f"{name}: {json.dumps(value)}" for name, value in front.items()),
        "---",
        "",
        f"# {facts.name}",
        "",
    ]
    lines += [f"Checkpoint `{root}`, gate: {facts.verdict}.", "", "| fact | value |", "| --- | --- |"]
    shown = {k: v for k, v in facts.training.items() if isinstance(v, int | float | str)}
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in sorted(shown.items())]
    lines += [
        "",
        f"Made from {len(tree) - 1} snapshots, in `lineage.json`; verify with `verify_bundle.py lineage.json`.",
        "",
    ]
    return "\n".join(lines)


def _results(facts: ModelFacts) -> list[dict[str, object]]:
    metrics = [{"type": name, "value": value} for name, value in sorted(facts.metrics.items())]
    dataset = {"name": facts.datasets[0].kind, "type": facts.datasets[0].id} if facts.datasets else {}
    return [{"task": {"type": facts.task}, "dataset": dataset, "metrics": metrics}] if metrics else []


def _cell(value: object) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|~&!" else c for c in plain(value))
