"""What ``stemma --help``, ``run --help``, ``completion`` and ``config fields`` print: what there is, by name."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import Any

GROUPS = {
    "make": ("run", "ui", "dagster", "generate", "embed", "new", "config"),
    "ask": ("show", "verify", "explain", "status", "batch", "find", "uses", "diff", "report"),
    "keep": ("promote", "jobs", "hold", "release", "gc", "withdraw", "rebuild"),
    "prove and hand on": ("prove", "check-proof", "export", "sign", "check-bundle"),
}
REST = "kinds of data, and the shell"


class GroupedParser(argparse.ArgumentParser):
    """The parser of ``stemma``: its help lists commands by what they are for."""

    def format_help(self) -> str:
        """The help, with a heading over each group."""
        listed = {choice.dest: choice.help or "" for choice in self._commands()._choices_actions}
        lines = [f"usage: {self.prog} COMMAND ...", "", (self.description or "").strip(), ""]
        grouped = {name for names in GROUPS.values() for name in names}
        groups = {**GROUPS, REST: tuple(name for name in listed if name not in grouped)}
        for title, names in groups.items():
            lines += [f"{title}:", *(f"  {name:<16}{listed[name]}" for name in names if name in listed), ""]
        return "\n".join([*lines, "options: -h, --help; --version. `stemma COMMAND --help` says more.", ""])

    def _commands(self) -> Any:
        return next(action for action in self._actions if isinstance(action, argparse._SubParsersAction))


class RunParser(argparse.ArgumentParser):
    """The parser of ``stemma run``: its help lists the recipes, presets and stages that there are."""

    def format_help(self) -> str:
        """The help, and what may be named in it."""
        return "\n".join([super().format_help(), *_names(), ""])


def _names() -> Iterator[str]:
    from pipeline_defs.catalogue import catalogue

    known = catalogue()
    yield "recipes and their presets:"
    for name, recipe in known.recipes.items():
        yield f"  {name:<16}{', '.join(recipe.presets)}"
    yield "stages that take settings (`stemma config fields STAGE`):"
    for owner in dict.fromkeys(stage.owner for stage in known.stages.values()):
        kinds = [s.kind for s in known.stages.values() if s.owner == owner and s.presets is not None]
        if kinds:
            yield f"  {', '.join(kinds)}"


def add_parsers(commands: Any) -> None:
    """``stemma config fields`` and ``stemma completion``."""
    config = commands.add_parser("config", help="the settings of a stage: fields, defaults, meanings")
    fields = config.add_subparsers(required=True, metavar="COMMAND").add_parser("fields", help="every field of a stage")
    fields.add_argument("stage", help="its kind, such as text/triples")
    fields.add_argument("--preset", default="demo", help="show the values of this preset where the stage has it")
    fields.set_defaults(command=print_fields)
    shell = commands.add_parser("completion", help="print the completion script of a shell")
    shell.add_argument("shell", choices=("bash", "zsh"), help='eval "$(stemma completion bash)"')


def print_fields(options: argparse.Namespace) -> int:
    """Every field that a stage reads, with its value in a preset and its meaning."""
    from pipeline_defs.catalogue import catalogue

    stage = catalogue().stage(options.stage)
    preset = stage.default_preset(options.preset)
    if stage.presets is None:
        print(f"{stage.kind} takes no settings")
        return 0
    print(
        f"{stage.kind}, preset {preset} (of {', '.join(stage.presets)}); set one with --set {_path(stage)}.FIELD=JSON"
    )
    for name, value, meaning in _fields(stage.resolve(preset, {}), ""):
        if stage.reads(name):
            print(f"  {name:<36}{value!s:<20}  {meaning}")
    return 0


def _path(stage: Any) -> str:
    return stage.kind.replace("/", ".")


def _fields(config: Any, prefix: str) -> Iterator[tuple[str, Any, str]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value, field.metadata.get("doc", "")


def completion(parser: GroupedParser, shell: str) -> str:
    """A script that completes commands, and the options of each."""
    commands = parser._commands().choices
    cases = [
        f"    {name}) words='{' '.join(sorted(o for a in each._actions for o in a.option_strings))}' ;;"
        for name, each in commands.items()
    ]
    head = ["autoload -U bashcompinit && bashcompinit"] if shell == "zsh" else []
    return "\n".join(
        [
            *head,
            "_stemma() {",
            "  local words",
            '  case "${COMP_WORDS[1]}" in',
            *cases,
            f"    *) words='{' '.join(commands)}' ;;",
            "  esac",
            f"  [ \"$COMP_CWORD\" = 1 ] && words='{' '.join(commands)}'",
            '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
            "}",
            "complete -o default -F _stemma stemma",
        ]
    )
