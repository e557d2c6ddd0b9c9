"""The commands that decide what ships and what stays: their arguments. Help imports nothing heavy."""

from __future__ import annotations

from typing import Any

from pipeline_defs.commands.lineage import NODE
from pipeline_defs.commands.lineage import _add as add_answer

_WHERE = "pipeline_defs.answers."


def add_parsers(commands: Any) -> None:
    """Add them to the subparsers of ``stemma``."""
    text = "make a recipe's checkpoint its champion, if gate, lineage and a comparison with the standing one allow it"
    recipe = "whose champion"
    promote = add_answer(commands, "promote", f"{_WHERE}champion.command:promote_command", text, recipe=recipe)
    promote.add_argument("--checkpoint", metavar="NODE", help=f"another than the current one: {NODE}")
    promote.add_argument("--rollback", action="store_true", help="the champion before this one again")
    promote.add_argument("--reason", help="why it is rolled back; kept in the history")
    text = "promote without comparing, for this reason; gate and lineage are checked all the same"
    promote.add_argument("--without-comparison", metavar="REASON", help=text)
    promote.add_argument("--history", action="store_true", help="list every promotion, the newest first")
