"""The commands that decide what ships and what stays: their arguments. Help imports nothing heavy."""

from __future__ import annotations

from typing import Any

from pipeline_defs.commands.lineage import NODE, add_answer

_WHERE = "pipeline_defs.answers."


def add_parsers(commands: Any) -> None:
    """Add them to the subparsers of ``stemma``."""
    text = "make a recipe's checkpoint its champion, if gate, lineage and a comparison with the standing one allow it"
    recipe = "whose champion"
    promote = add_answer(commands, "promote", "pipeline_defs.commands.promote:promote", text, recipe=recipe)
    promote.add_argument("--checkpoint", metavar="NODE", help=f"another than the current one: {NODE}")
    promote.add_argument("--rollback", action="store_true", help="the champion before this one again")
    promote.add_argument("--reason", help="why it is rolled back; kept in the history")
    text = "promote without comparing, for this reason; gate and lineage are checked all the same"
    promote.add_argument("--without-comparison", metavar="REASON", help=text)
    promote.add_argument("--history", action="store_true", help="list every promotion, the newest first")
    text = "what nothing needs by now, and why the rest stays; --apply removes it, with a receipt"
    gc = add_answer(commands, "gc", "pipeline_defs.commands.gc:gc", text)
    gc.add_argument("--apply", action="store_true", help="remove it; without, nothing changes")
    text = "instead: what holds withdrawn records and may go, with previews in Dagster's database and copies"
    gc.add_argument("--withdrawn", action="store_true", help=text)
    text = "keep what was made or used in so many days (default 14; never less than an hour)"
    gc.add_argument("--keep-days", type=float, default=14.0, metavar="DAYS", help=text)
    text = "a legal hold: nothing may remove a node, nor its ancestors, until it is released"
    hold = add_answer(commands, "hold", f"{_WHERE}retention.command:hold", text)
    hold.add_argument("node", nargs="?", metavar="NODE", help=NODE)
    hold.add_argument("--reason", default="no reason given", help="who asked for it and why")
    hold.add_argument("--list", action="store_true", help="list every hold")
    add_answer(commands, "release", f"{_WHERE}retention.command:release", "end a legal hold", node=NODE)
    text = "trainings in processes of their own: list them, or ask, read or end one"
    jobs = add_answer(commands, "jobs", f"{_WHERE}jobs:jobs", text)
    jobs.add_argument("action", choices=("list", "status", "logs", "cancel"))
    jobs.add_argument("run", nargs="?", help="a run's name as listed, or an unambiguous beginning of it")
    jobs.add_argument("--follow", action="store_true", help="with logs: every line as it comes, until the job is over")
    text = "the gate's report as one page (margins, curves, lineage, how to reproduce), or as markdown"
    report = add_answer(commands, "report", f"{_WHERE}report.command:report", text, node=f"what was judged: {NODE}")
    report.add_argument("--open", action="store_true", help="open the page in a browser")
    text = "print it for a pull request: table with intervals, changes against the champion, lineage"
    report.add_argument("--markdown", action="store_true", help=text)
