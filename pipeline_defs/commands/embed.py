"""``stemma embed``: what a published checkpoint makes of the rows of a file, and which checkpoint it was.

The domain reads and writes the file, see ``Domain.embed``; the recipe gives the vectors, see ``Recipe.embed``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.documents import read_facts
from assets_data.lineage import ConfigError, Snapshot
from pipeline_defs.answers.answer import plain


def add_parsers(commands: Any) -> None:
    """Add the command to the subparsers of ``stemma``."""
    text = "embed the rows of a file with a checkpoint, without training"
    parser = commands.add_parser("embed", help=text, description=text)
    parser.add_argument("--checkpoint", required=True, help="an id (or its first characters), a name or a path")
    parser.add_argument("--input", required=True, type=Path, metavar="FILE", help="in a format that its domain reads")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="where the embeddings are written")
    how = "how the domain reads the file, such as files.layer=counts (a value that is not JSON is taken as text)"
    parser.add_argument("--set", action="append", default=[], metavar="PATH=JSON", help=how)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_embed)


def embed(checkpoint: Snapshot, source: Path, target: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``target``; what was done. Every file of the checkpoint is verified first.

    Raises ConfigError EMBED_UNSUPPORTED for a node that holds no weights, or a recipe or domain that does not embed.
    """
    from assets_data.domain import find_domains
    from assets_data.stage import load
    from training.recipe import find_recipe
    from training.stages import config_of, load_model

    if not checkpoint.kind.endswith("/checkpoint"):
        what = "this node holds no weights"
        raise ConfigError("EMBED_UNSUPPORTED", what, expected="*/checkpoint", found=checkpoint.kind)
    checkpoint.verify()
    training = read_facts(checkpoint)
    recipe = find_recipe(training["recipe"])
    owners = {given.kind.partition("/")[0] for given in recipe.inputs.values()}
    readers = [domain.embed for name, domain in find_domains().items() if name in owners and domain.embed]
    vectors_of = recipe.embed
    if vectors_of is None or not readers:
        what = "neither this recipe nor its data say how rows of a file are embedded"
        raise ConfigError("EMBED_UNSUPPORTED", what, found=recipe.name)
    model, config = load_model(recipe, checkpoint), config_of(recipe, checkpoint)
    facts = {"checkpoint": checkpoint.id, "recipe": recipe.name}
    inputs = training["model_inputs"]
    done = load(readers[0])(source, target, lambda rows: vectors_of(model, config, inputs, rows), settings, facts)
    return {**facts, **done}


def _embed(options: argparse.Namespace) -> int:
    from pipeline_defs.answers.nodes import find_node

    document = embed(find_node(options.checkpoint), options.input, options.output, _nested(options.set))
    print(json.dumps(document) if options.json else "\n".join(f"{k:<11}{plain(v)}" for k, v in document.items()))
    return 0


def _nested(settings: list[str]) -> dict[str, Any]:
    """``a.b=1`` as ``{"a": {"b": 1}}``. Raises ConfigError EMBED_SETTING for what is no assignment."""
    nested: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError("EMBED_SETTING", "a setting is PATH=VALUE", found=setting)
        *parts, last = path.split(".")
        place = nested
        for part in parts:
            place = place.setdefault(part, {})
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return nested
