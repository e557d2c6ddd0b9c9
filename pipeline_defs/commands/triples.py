"""``stemma export-triples`` and ``stemma import-triples``: triples as a directory for other programs, and back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parsers(commands: Any) -> None:
    """Add both commands to the subparsers of ``stemma``."""
    export = commands.add_parser("export-triples", help="write triples or a mix as JSON lines or Parquet")
    export.add_argument("node", help="an id (or its first characters), or a name like text/mix")
    export.add_argument("directory", type=Path, help="a directory that does not exist yet")
    export.add_argument("--format", default="jsonl", choices=("jsonl", "parquet"))
    export.set_defaults(command=_export)
    back = commands.add_parser("import-triples", help="publish an export again, under the id it had")
    back.add_argument("directory", type=Path)
    back.add_argument("--name", help="let this name stand for it, e.g. text/triples/imported-0")
    back.set_defaults(command=_import)


def _export(options: argparse.Namespace) -> int:
    from assets_data.domains.text.export import export_triples
    from pipeline_defs.answers.nodes import default_store, find_node

    triples = find_node(options.node)
    export_triples(default_store(), triples, options.directory, options.format)
    print(f"{triples.id} -> {options.directory}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from assets_data.domains.text.export import import_triples
    from pipeline_defs.answers.nodes import default_store

    store = default_store()
    snapshot = import_triples(store, options.directory)
    if options.name:
        store.point(options.name, snapshot)
    print(f"{snapshot.kind}  {snapshot.id}")
    return 0
