"""The command reference, from the parsers that read the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from docs.generate.markdown import code, table
from pipeline_defs.commands.cli import make_parser
from training.__main__ import parser as training_parser

HEAD = """# Commands

What `--help` says, command by command. A NODE is an id, the first characters of one, a name such as
`walk_lm/checkpoint`, or a path. Every command exits with 0 for yes, 1 for no or an error, 2 for unusable arguments and
3 for neither yes nor no; `--json` prints the answer for programs. The store is below `STEMMA_ROOT`, or `.stemma` in the
working directory.
"""


def commands_page() -> str:
    """Every command of ``stemma`` and of ``python -m training``, with its arguments."""
    parts = [HEAD]
    for words, parser, says in [*walk(make_parser()), ((training_parser().prog,), training_parser(), "")]:
        parts.append(f"\n## {' '.join(words)}\n\n{(says or parser.description or '').strip()}\n\n{_arguments(parser)}")
    return "\n".join(parts)


def walk(parser: argparse.ArgumentParser, words: tuple[str, ...] = ("stemma",)) -> Iterator[tuple]:
    """``(words, parser, help)`` of every command that does something, groups taken apart."""
    for group in (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)):
        helps = {choice.dest: choice.help for choice in group._choices_actions}
        for name, inner in group.choices.items():
            below = list(walk(inner, (*words, name)))
            yield from below or [((*words, name), inner, helps.get(name))]


def _arguments(parser: argparse.ArgumentParser) -> str:
    rows = [
        (code(_name(action)), _meaning(action))
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    return table(("argument", "meaning"), rows) if rows else ""


def _name(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or (action.metavar or action.dest)
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    return f"{name} {value}".strip() if action.option_strings and action.nargs != 0 else str(name)


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default))
    chosen = f" One of {', '.join(map(code, map(str, action.choices)))}." if action.choices else ""
    plain = action.default not in (None, [], False, argparse.SUPPRESS) and action.nargs != 0
    default = f" Default: {code(action.default)}." if plain and "default" not in text else ""
    needed = " Required." if action.required and action.option_strings else ""
    more = f"{chosen}{default}{needed}"
    return f"{text}{'.' if text and more and text[-1] not in '.;:' else ''}{more}"
