"""The ``stemma`` command. The lineage commands read the store alone and import neither torch nor Dagster."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from assets_data.domain import find_domains
from assets_data.lineage import StemmaError
from assets_data.stage import load
from pipeline_defs.answers.answer import plain
from pipeline_defs.commands import embed, generate, keeping, new
from pipeline_defs.commands import lineage as lineage_command
from pipeline_defs.commands.tools import Tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 yes, 1 no, 2 unusable arguments, 3 neither yes nor no."""
    options = make_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except StemmaError as error:
        print(plain(error), file=sys.stderr)
    except BrokenPipeError:  # whoever reads the answer has read enough; Python would complain again while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        print(plain(_unexpected(error)), file=sys.stderr)
    return 1


def _unexpected(error: Exception) -> StemmaError:
    """The last resort: one line, and the traceback in a file for whoever mends it."""
    with tempfile.NamedTemporaryFile("w", prefix="stemma-error-", suffix=".txt", delete=False) as details:
        details.write("".join(traceback.format_exception(error)))
    if isinstance(error, OSError):
        return StemmaError("COMMAND_OS", str(error), action=f"details are in {details.name}")
    what, action = "Stemma did not expect this", f"report it with {details.name}"
    return StemmaError("COMMAND_UNEXPECTED", what, found=f"{type(error).__name__}: {error}", action=action)


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command, those of the domains too."""
    parser = argparse.ArgumentParser(prog="stemma", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the whole chain over all slices and print the gate's verdict")
    run.add_argument("--recipe", default="walk_lm")
    run.add_argument("--preset", default="demo", help="smoke (seconds), demo (minutes), anchor and strict (GPU)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=JSON",
        help="override one field, e.g. text.raw_slice.source=files (a value that is not JSON is taken as text)",
    )
    run.add_argument("--config", type=Path, metavar="FILE", help=".toml or .json file of overrides; --set wins over it")
    run.add_argument("--no-wait", action="store_true", help="end at once where another command holds this root")
    run.set_defaults(command=_run)
    ui = commands.add_parser("ui", help="serve the Dagster UI on 127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(command=_ui)
    lineage_command.add_parsers(commands)
    keeping.add_parsers(commands)
    generate.add_parsers(commands)
    embed.add_parsers(commands)
    new.add_parsers(commands)
    for domain in find_domains().values():
        if domain.commands:
            load(f"{domain.commands}:add_parsers")(commands, Tools())
    return parser


def _run(options: argparse.Namespace) -> int:
    from pipeline_defs.commands.run import run
    from pipeline_defs.commands.settings import chosen_settings

    settings = chosen_settings(options.config, options.set)
    return run(options.recipe, options.preset, settings, wait=not options.no_wait)


def _ui(options: argparse.Namespace) -> int:
    from pipeline_defs.commands.ui import serve

    return serve(options.port)


if __name__ == "__main__":
    sys.exit(main())
