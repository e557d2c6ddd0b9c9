"""``stemma export-episodes`` and ``import-episodes``: what only makes sense for episodes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parsers(commands: Any, tools: Any) -> None:
    """Add the domain's commands to the subparsers of ``stemma``; ``tools`` reach store and nodes."""
    export = commands.add_parser("export-episodes", help="write a slice of episodes as .npz or .parquet")
    export.add_argument(
        "node", help="an id (or its first characters), or a name like episodes/raw_slice/pendulum-held-0"
    )
    export.add_argument("file", type=Path, help="a .npz or .parquet file that does not exist yet")
    export.set_defaults(command=_export, tools=tools)
    back = commands.add_parser("import-episodes", help="publish such a file again, under the ids it had")
    back.add_argument("file", type=Path)
    back.add_argument("--label", default="", help="first part of the slice's name; the rest is the file's")
    back.set_defaults(command=_import, tools=tools)


def _export(options: argparse.Namespace) -> int:
    from assets_data.domains.episodes.export import export_episodes

    raw_slice = options.tools.node(options.node)
    print(f"{raw_slice.id} -> {options.file}: {export_episodes(raw_slice, options.file)} episodes")
    return 0


def _import(options: argparse.Namespace) -> int:
    from assets_data.domains.episodes.export import import_episodes

    snapshot = import_episodes(options.tools.store(), options.file, options.label)
    print(f"{snapshot.kind}  {snapshot.id}: {snapshot.stats['rows']} episodes")
    return 0
