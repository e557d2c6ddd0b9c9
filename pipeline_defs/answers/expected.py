"""What each kind of node would be made with today: code, presets, its part of the config, its source's bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assets_data.lineage import from_dict
from assets_data.lineage.receipts.provenance import Provenance

NOT_READ = {("text/tokenizer", "text/raw_slice")}  # pinned: the slices at hand do not change it, only `retrain` does

_MODULES = {
    "text/raw_slice": "assets_data.domains.text.raw_slice",
    "text/tokenizer": "assets_data.domains.text.tokenizer",
    "text/document_index": "assets_data.domains.text.document_index",
    "text/duplicates": "assets_data.domains.text.duplicates",
    "text/triples": "assets_data.domains.text.triples",
    "text/quality_summary": "assets_data.domains.text.quality_summary",
    "text/mix": "assets_data.domains.text.mix",
    "text/walk_corpus": "assets_data.domains.text.walks.corpus",
    "text/dataset_manifest": "assets_data.domains.text.manifest",
}
_SECTIONS = {
    "text/tokenizer": "tokenizer",
    "text/triples": "triples",
    "text/document_index": "duplicates",
    "text/duplicates": "duplicates",
}


def stage_modules(stage: str) -> tuple[str, ...]:
    """The modules whose code decides a stage, as the stage itself names them to the store."""
    if stage in _MODULES:
        return (_MODULES[stage],)
    recipe, _, part = stage.partition("/")
    folder = f"training.recipes.{recipe}"
    if part == "preflight_report":
        return ("training.stages", "training.preflight", folder)
    return ("training.publication", folder)


def stage_presets(stage: str) -> Mapping[str, Callable[[], Any]] | None:
    """The presets a stage's run picks from; None for a stage that takes no config of its own."""
    if stage == "text/raw_slice":
        from assets_data.sources.config import PRESETS as presets
    elif stage in _SECTIONS:
        from assets_data.domains.text.config import PRESETS as presets
    elif stage == "text/walk_corpus":
        from assets_data.domains.text.walks.config import PRESETS as presets
    elif stage.endswith("/preflight_report"):
        from training.recipe import discover

        recipe = discover().get(stage.partition("/")[0])
        presets = recipe.presets if recipe else None
    else:
        return None
    return presets


def section(stage: str, config: dict[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that a stage's receipt holds."""
    name = _SECTIONS.get(stage)
    if stage == "text/tokenizer":
        return {**config["tokenizer"], "retrain": False}
    return config[name] if name else config


def source_arguments(account: Provenance) -> dict[str, Any]:
    """Those arguments of a raw slice that its source decides, the local files read again; nothing for a remote source.

    Raises DataError when the source or the slice is gone.
    """
    from assets_data.sources.config import SourceConfig
    from assets_data.sources.parts import planned_digest
    from assets_data.sources.sources import open_source

    config = from_dict(SourceConfig, account.config)
    if config.source == "http_index":
        return {}
    return {"parts_digest": planned_digest(open_source(config).parts(account.arguments["slice"]))}
