"""The ``stemma`` command. The lineage commands read the store alone and import neither torch nor Dagster."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assets_data.domain import Domain, find_domains
from assets_data.lineage import ConfigError, StemmaError
from assets_data.stage import load
from pipeline_defs.answers.answer import plain
from pipeline_defs.commands import embed, generate, help, keeping, lineage, new
from pipeline_defs.commands.help import GroupedParser, RunParser, completion
from pipeline_defs.commands.tools import Tools

UNUSABLE = ("SETTING_SHAPE", "ARGUMENT_EMPTY")
"""Codes of arguments that are none, whatever is in the store."""
FREE = ("prompt", "reason", "arguments")
"""Arguments that may be empty: text for a model or for people, and what is passed on to another program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 yes, 1 no, 2 unusable arguments, 3 neither yes nor no."""
    options = make_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        _require_words(options)
        return command(options)
    except StemmaError as error:
        print(plain(error), file=sys.stderr)
        return 2 if error.code in UNUSABLE else 1
    except BrokenPipeError:  # whoever reads the answer has read enough; Python would complain again while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        print(plain(_unexpected(error)), file=sys.stderr)
    return 1


def _require_words(options: argparse.Namespace) -> None:
    """Raise ConfigError ARGUMENT_EMPTY for an empty word, such as an unset variable of a script gives."""
    for name, value in vars(options).items():
        if name not in FREE and "" in (value if isinstance(value, list) else [value]):
            what = "this argument is empty"
            raise ConfigError("ARGUMENT_EMPTY", what, found=name, action="leave it out, or say what is meant")


def _unexpected(error: Exception) -> StemmaError:
    """The last resort: one line, and the traceback in a file for whoever mends it."""
    with tempfile.NamedTemporaryFile("w", prefix="stemma-error-", suffix=".txt", delete=False) as details:
        details.write("".join(traceback.format_exception(error)))
    if isinstance(error, OSError):
        return StemmaError("COMMAND_OS", str(error), action=f"details are in {details.name}")
    if type(error).__module__.startswith("sqlalchemy"):
        what = "Dagster's database did not take or give a record: locked by another process, full, or out of reach"
        action = f"run again, what was made stays; details are in {details.name}"
        return StemmaError("DAGSTER_DATABASE", what, found=getattr(error, "orig", None) or error, action=action)
    what, action = "Stemma did not expect this", f"report it with {details.name}"
    return StemmaError("COMMAND_UNEXPECTED", what, found=f"{type(error).__name__}: {error}", action=action)


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command, those of the domains too."""
    parser = GroupedParser(prog="stemma", description="Raw data to a checkpoint that can prove what made it.")
    parser.add_argument("--version", action="version", version=f"stemma {version('stemma')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser)
    _add_run(commands)
    _add_dagster(commands)
    help.add_parsers(commands)
    commands.choices["completion"].set_defaults(command=lambda options: _print(completion(parser, options.shell)))
    for group in (lineage, keeping, generate, embed, new):
        group.add_parsers(commands)
    for domain in sorted(find_domains().values(), key=lambda domain: not domain.in_tree):
        if domain.commands:
            _add_commands(domain, commands)
    return parser


def _add_run(commands: Any) -> None:
    commands._parser_class = RunParser  # of the next command alone
    run = commands.add_parser(
        "run",
        help="run the whole chain over all slices and print the gate's verdict",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands._parser_class = argparse.ArgumentParser
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
    _add_ways(run)
    run.set_defaults(command=_run)


def _add_ways(run: argparse.ArgumentParser) -> None:
    """How it runs, as opposed to what."""
    run.add_argument("--no-wait", action="store_true", help="end at once where another command holds this root")
    text = "build each stage where it can read what it declared and nothing else; what was made unsealed is made again"
    run.add_argument("--sealed", action="store_true", help=text)
    text = "train checkpoints in a job of so many processes (torchrun), see `stemma jobs`; without it, in this one"
    run.add_argument("--processes", type=int, metavar="N", help=text)
    text = "what a job's processes have of the model: the whole, or (fsdp) their rows of it (%(default)s)"
    run.add_argument("--parallel", choices=["ddp", "fsdp"], default="ddp", help=text)


def _add_dagster(commands: Any) -> None:
    ui = commands.add_parser("ui", help="serve the Dagster UI on 127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(command=_ui)
    through = commands.add_parser("dagster", help="Dagster's own command over the instance and code of this root")
    through.add_argument("arguments", nargs=argparse.REMAINDER, help="asset materialize --select text/raw_slice")
    through.set_defaults(command=_dagster)


def _add_commands(domain: Domain, commands: Any) -> None:
    """Those of a domain. A stranger's that cannot be added are named and left out: every other command goes on."""
    try:
        load(f"{domain.commands}:add_parsers")(commands, Tools())
    except (Exception, SystemExit) as error:
        if domain.in_tree:
            raise
        print(f"commands of {domain.name} were left out: {type(error).__name__}: {error}", file=sys.stderr)


def _run(options: argparse.Namespace) -> int:
    from pipeline_defs.commands.run import run
    from pipeline_defs.commands.settings import chosen_settings

    settings = chosen_settings(options.config, options.set)
    job = {"launcher": "torchrun", "processes": options.processes, "parallel": options.parallel}
    how = {"sealed": options.sealed, **(job if options.processes else {})}
    return run(options.recipe, options.preset, settings, wait=not options.no_wait, how=how)


def _print(text: str) -> int:
    print(text)
    return 0


def _dagster(options: argparse.Namespace) -> int:
    from pipeline_defs.commands.ui import dagster

    return dagster(options.arguments)


def _ui(options: argparse.Namespace) -> int:
    from pipeline_defs.commands.ui import serve

    return serve(options.port)


if __name__ == "__main__":
    sys.exit(main())
