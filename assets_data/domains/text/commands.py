"""``stemma mix``, ``export-triples``, ``import-triples`` and ``slices``: what only makes sense for text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from assets_data.domains.text import slices_command


def add_parsers(commands: Any, tools: Any) -> None:
    """Add the text domain's commands to the subparsers of ``stemma``; ``tools`` reach store, nodes and settings."""
    _add_mix(commands, tools)
    export = commands.add_parser("export-triples", help="write triples or a mix as JSON lines or Parquet")
    export.add_argument("node", help="an id (or its first characters), or a name like text/mix")
    export.add_argument("directory", type=Path, help="a directory that does not exist yet")
    export.add_argument("--format", default="jsonl", choices=("jsonl", "parquet"))
    export.set_defaults(command=_export, tools=tools)
    back = commands.add_parser("import-triples", help="publish an export again, under the id it had")
    back.add_argument("directory", type=Path)
    back.add_argument("--name", help="let this name stand for it, e.g. text/triples/imported-0")
    back.set_defaults(command=_import, tools=tools)
    slices_command.add_parsers(commands, tools)


def _add_mix(commands: Any, tools: Any) -> None:
    mix = commands.add_parser("mix", help="mix triples of several sources by weights and quotas")
    mix.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=NODE[,NODE]",
        help="triples, mixes or dataset manifests, by name or id; without any, the manifest's slices grouped by name",
    )
    mix.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help='e.g. weights={"qa": 3}')
    mix.add_argument("--dataset", action="store_true", help="make it what text/dataset_manifest stands for")
    mix.set_defaults(command=_mix, tools=tools)


def _mix(options: argparse.Namespace) -> int:
    from assets_data.domains.text.mix_config import PRESETS
    from assets_data.domains.text.mixing import mix_job, named_sources
    from assets_data.lineage import Store, resolve

    overrides = options.tools.settings(None, [f"text.mix.{setting}" for setting in options.set], "text/mix")
    store = Store(options.tools.store().root, {"preset": "demo", "overrides": overrides})
    config = resolve(PRESETS, "demo", overrides)
    for name, snapshot in mix_job(store, config, named_sources(options.source), options.dataset).items():
        print(f"{name}  {snapshot.id}  {snapshot.content['splits'] or ''}".rstrip())
    return 0


def _export(options: argparse.Namespace) -> int:
    from assets_data.domains.text.export import export_triples

    triples = options.tools.node(options.node)
    export_triples(options.tools.store(), triples, options.directory, options.format)
    print(f"{triples.id} -> {options.directory}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from assets_data.domains.text.export import import_triples
    from assets_data.lineage.storage.names import require_free

    store = options.tools.store()
    if options.name:
        require_free(options.name)
    snapshot = import_triples(store, options.directory)
    if options.name:
        store.point(options.name, snapshot)
    print(f"{snapshot.kind}  {snapshot.id}")
    return 0
