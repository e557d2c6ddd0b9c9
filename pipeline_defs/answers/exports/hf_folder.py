"""A Hugging Face style folder: weights, config, tokenizer, model card with front matter, and the lineage beside them.

The model card says how the model is loaded without a store: by another library where the recipe exports for one, else
by the recipe's own code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from assets_data.lineage import DataError, Snapshot
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.answer import plain, pretty
from pipeline_defs.answers.exports.croissant import croissant
from pipeline_defs.answers.exports.cyclonedx import cyclonedx
from pipeline_defs.answers.exports.model_facts import ModelFacts, model_facts
from pipeline_defs.answers.exports.tokenizer_files import write_tokenizer
from training.recipe import Loading, discover, find_recipe

OWN_LOADING = """\
import json
from pathlib import Path

from safetensors.torch import load_file

from assets_data.lineage import from_recorded
from training.recipe import find_recipe

recipe = find_recipe({!r})
config = from_recorded(recipe.config_type, json.loads(Path("config.json").read_text()))
model = recipe.build_model(config, json.loads(Path("training.json").read_text())["model_inputs"])
model.load_state_dict(load_file("model.safetensors"))
model.eval()
"""
OWN_TOKENIZER = """
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
"""


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
            loading = _write_model(snapshot, temp)
            tokenizer = write_tokenizer(tree, snapshot, temp)
            documents = {"lineage.json": make_bundle(tree, root), "bom.cdx.json": cyclonedx(tree, root)}
            for name, document in {**documents, "croissant.json": croissant(tree, root)}.items():
                (temp / name).write_bytes(pretty(document))
            (temp / "README.md").write_text(model_card(tree, root, loading, tokenizer), encoding="utf-8")
            if not atomic.publish_directory(temp, target):
                raise DataError("EXPORT_EXISTS", "the folder is there already", where=target, action="name another")
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return sorted(target.iterdir())


def _write_model(checkpoint: Snapshot, folder: Path) -> Loading | None:
    """The checkpoint's files, below ``checkpoint`` where the recipe writes others for another library. How to load it,
    or None where the recipe is not installed here.
    """
    recipe = discover().get(checkpoint.kind.partition("/")[0])
    own = folder / "checkpoint" if recipe and recipe.export else folder
    own.mkdir(exist_ok=True)
    for name in checkpoint.files:
        checkpoint.check_file(name)
        shutil.copyfile(checkpoint.path / name, own / name)
    if recipe is None:
        return None
    return recipe.export(checkpoint, folder) if recipe.export else Loading("stemma", OWN_LOADING.format(recipe.name))


def model_card(tree: Mapping[str, Node], root: str, loading: Loading | None = None, tokenizer: bool = False) -> str:
    """The README.md: front matter as JSON values, which are YAML, what made the model, and how to load it."""
    facts = model_facts(tree, root)
    front = {
        "library_name": loading.library if loading else "stemma",
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
        *_how_to_load(facts.recipe, loading, tokenizer),
    ]
    return "\n".join(lines)


def _how_to_load(recipe: str, loading: Loading | None, tokenizer: bool) -> list[str]:
    if loading is None:
        return []
    own = loading.library == "stemma"
    if own:
        package = find_recipe(recipe).package
        needs = (
            f"In this folder, with torch, safetensors and the recipe's own code (`{package}`); no store, no Dagster:"
        )
    else:
        needs = f"In this folder, with {loading.library} and nothing of Stemma; its own files are in `checkpoint`:"
    code = loading.code + (OWN_TOKENIZER if own and tokenizer else "")
    ids = [] if tokenizer else ["", "Its ids are not those of a tokenizer; `training.json` has the model's inputs."]
    return ["## Loading it", "", needs, "", "```python", code.rstrip("\n"), "```", *ids, ""]


def _results(facts: ModelFacts) -> list[dict[str, object]]:
    metrics = [{"type": name, "value": value} for name, value in sorted(facts.metrics.items())]
    dataset = {"name": facts.datasets[0].kind, "type": facts.datasets[0].id} if facts.datasets else {}
    return [{"task": {"type": facts.task}, "dataset": dataset, "metrics": metrics}] if metrics else []


def _cell(value: object) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|~&!" else c for c in plain(value))
