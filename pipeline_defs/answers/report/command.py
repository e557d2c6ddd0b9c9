"""``stemma report``: the page beside the store, or markdown on stdout."""

from __future__ import annotations

import webbrowser
from argparse import Namespace
from pathlib import Path

from assets_data.lineage import DataError, Snapshot, Store
from assets_data.lineage.queries.tree import load_node
from assets_data.lineage.storage import atomic
from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.champion.contest import find_challenger
from pipeline_defs.answers.champion.standing import is_promotion, read_promotion
from pipeline_defs.answers.nodes import default_store, find_node
from pipeline_defs.answers.report.facts import Facts, gather
from pipeline_defs.answers.report.markdown import markdown_lines
from pipeline_defs.answers.report.page import page

FOLDER = "reports"  # below the store's root


def report(options: Namespace) -> Answer:
    """Status 1 where the gate did not pass, or the lineage is not intact."""
    store = default_store()
    found = find_report(store, find_node(options.node))
    facts = gather(store, found)
    path = write_page(store, facts)
    if options.open:
        webbrowser.open(path.as_uri())
    document = {"report": str(path), "verdict": facts.gate["verdict"], "intact": facts.intact, "ids": dict(facts.ids)}
    lines = (
        list(markdown_lines(facts))
        if options.markdown
        else [str(path), f"gate: {facts.gate['verdict']}", facts.lineage_verdict]
    )
    return Answer(document=document, lines=lines, ok=facts.gate["verdict"] == "pass" and facts.intact is not False)


def write_page(store: Store, facts: Facts) -> Path:
    """Write the page to ``reports/<gate report>.html`` in the store; made again, it replaces itself."""
    path = store.root / FOLDER / f"{facts.ids['gate report'].removeprefix('sha256:')}.html"
    atomic.write_bytes(path, page(facts).encode())
    return path


def find_report(store: Store, node: Snapshot) -> Snapshot:
    """The gate report meant by a report, a checkpoint or a champion. Raises DataError REPORT_OF_WHAT for others."""
    recipe, _, name = node.kind.partition("/")
    if name == "gate_report":
        return node
    if is_promotion(node.kind):
        return store.snapshot(read_promotion(store, node.id).document["gate_report"])
    if name == "checkpoint":
        return find_challenger(store, recipe, node.id).report
    kinds = "a gate report, a checkpoint or a champion"
    raise DataError("REPORT_OF_WHAT", "no gate judged this", expected=kinds, found=load_node(store, node.id).kind)
