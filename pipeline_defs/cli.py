"""The ``stemma`` command. ``show`` and ``verify`` read the store alone and import neither torch nor Dagster."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from assets_data.lineage import StemmaError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 yes, 1 no, 2 unusable arguments."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except StemmaError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stemma", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the whole chain over all slices and print the gate's verdict")
    run.add_argument("--recipe", default="walk_lm")
    run.add_argument("--preset", default="demo", help="smoke (seconds), demo (minutes), anchor and strict (GPU)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.FIELD=JSON",
        help='override one field, e.g. raw_slice.source="files" (a value that is not JSON is taken as text)',
    )
    run.set_defaults(command=_run)
    ui = commands.add_parser("ui", help="serve the Dagster UI on 127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(command=_ui)
    for name, command, text in (
        ("show", _show, "what a node is, from its snapshot and receipt"),
        ("verify", _verify, "re-hash a node and check its receipts, offline"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("node", help="an id (or its first characters), a name like walk_lm/checkpoint, or a path")
        sub.add_argument("--json", action="store_true", help="print JSON")
        sub.set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> int:
    from pipeline_defs.run_command import run

    return run(options.recipe, options.preset, _overrides(options.set))


def _ui(options: argparse.Namespace) -> int:
    from assets_data.lineage.code import ROOT
    from pipeline_defs.home import prepare_home, stemma_root

    os.environ["STEMMA_ROOT"] = str(stemma_root())
    prepare_home(stemma_root())
    print(f"Stemma on http://127.0.0.1:{options.port} (stop with Ctrl-C)", flush=True)
    address = ["-h", "127.0.0.1", "-p", str(options.port)]
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
    os.execv(dagster, [dagster, "dev", "-w", str(ROOT / "workspace.yaml"), *address])


def _show(options: argparse.Namespace) -> int:
    from pipeline_defs.nodes import describe_node, print_node

    description = describe_node(options.node)
    print(json.dumps(description, indent=2)) if options.json else print_node(description)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from pipeline_defs.nodes import print_verification, verify_node

    report = verify_node(options.node)
    print(json.dumps(report, indent=2)) if options.json else print_verification(report)
    return 0 if report["ok"] else 1


def _overrides(settings: list[str]) -> dict[str, dict[str, Any]]:
    overrides: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, _, text = setting.partition("=")
        stage, _, field = path.partition(".")
        if not (field and text):
            raise SystemExit(f"stemma run: --set takes STAGE.FIELD=JSON, not {setting!r}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        overrides.setdefault(stage, {})[field] = value
    return overrides


if __name__ == "__main__":
    sys.exit(main())
