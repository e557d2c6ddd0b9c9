"""What the asset catalogue shows of a stage before anything is made: owners, tags, where its code is, its fields."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import dagster as dg

from assets_data.lineage.receipts.code import ROOT, commit
from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.stage_config import fields_table
from pipeline_defs.operations import operations


def owners(stage: Stage) -> list[str]:
    """Who answers for it: what ``operations.toml`` says of its domain or recipe, else a team of that name."""
    return list(operations().owners.get(stage.owner, [f"team:{stage.owner}"]))


def asset_tags(stage: Stage) -> dict[str, str]:
    """What it learns from records, for whoever looks for what a withdrawal reaches."""
    return {"stemma/learns": re.sub(r"[^A-Za-z0-9_.-]", "_", stage.learns)}


def drawn_parents(known: Catalogue, stage: Stage) -> list[str]:
    """The kinds that edges of the graph come from: not those that an input of its own recipe or domain pins already.

    A checkpoint reads the dataset that its preflight pins; one edge from the preflight says so. Stages of slices keep
    all their edges, for what is read of one slice is not what is read of all.
    """
    kinds = [given.kind for given in stage.inputs.values()]
    whole = [known.stage(kind) for kind in kinds if known.stage(kind).owner == stage.owner]
    pinned = {given.kind for read in whole if not read.sliced for given in read.inputs.values()}
    return kinds if stage.sliced else [kind for kind in dict.fromkeys(kinds) if kind not in pinned]


def definition_metadata(stage: Stage) -> dict[str, Any]:
    """Where its function is, at the commit if ``operations.toml`` names the repository; and its fields."""
    found: dict[str, Any] = {}
    if reference := _reference(stage.make):
        found["dagster/code_references"] = dg.CodeReferencesMetadataValue(code_references=[reference])
    if stage.presets is not None:
        found["fields"] = dg.MetadataValue.md(fields_table(stage))
    return found


def _reference(address: str) -> Any:
    module, _, name = address.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin)
    line = _lines(path).get(name, 1)
    base = operations().repository
    if base and path.is_relative_to(ROOT) and commit()["commit"]:
        place = path.relative_to(ROOT).as_posix()
        return dg.UrlCodeReference(url=f"{base.rstrip('/')}/blob/{commit()['commit']}/{place}#L{line}", label=name)
    return dg.LocalFileCodeReference(file_path=str(path), line_number=line, label=name)


@functools.cache
def _lines(path: Path) -> dict[str, int]:
    """The line of every function at the top of a file."""
    return {node.name: node.lineno for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.FunctionDef)}
