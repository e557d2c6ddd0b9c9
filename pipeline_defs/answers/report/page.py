"""The page: one HTML file without a script, a font or an image from elsewhere, for light, dark and print."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from pipeline_defs.answers.report.drawings import curve, margins
from pipeline_defs.answers.report.facts import Facts
from pipeline_defs.answers.report.markdown import interval, number
from training.metrics import LOSS

STYLE = """
:root { color-scheme: light dark; --bg: #fbfbf9; --card: #fff; --ink: #1d2329; --soft: #5b6670; --rule: #dfe3e6;
  --line: #1f6fb2; --good: #1a7f4b; --bad: #b3261e; --open: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --bg: #14181c; --card: #1b2127; --ink: #e6eaed; --soft: #9aa6b0;
  --rule: #323b43; --line: #6cb3ef; --good: #5fd39a; --bad: #ff8a80; --open: #f0c060; } }
* { box-sizing: border-box } body { margin: 0; background: var(--bg); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 1000px; margin: auto; padding: 2rem 1.25rem }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem }
.sub { color: var(--soft) } code, pre, .id { font: .85rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
.badge { display: inline-block; padding: .1rem .7rem; border: 2px solid; border-radius: 99px; font-weight: 600 }
.pass { color: var(--good) } .fail { color: var(--bad) } .undetermined { color: var(--open) }
section.card, pre, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 1rem; margin: 0 }
.scroll { overflow-x: auto } pre { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } th { color: var(--soft); font-weight: 600 }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1rem }
figcaption { font-size: .9rem }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--soft); font-size: 12px }
.curves svg text { font-size: 17px } svg .label { fill: var(--ink) }
.line { fill: none; stroke: var(--line); stroke-width: 1.8 }
.dot { fill: var(--line) } .grid, .rail { stroke: var(--rule) }
.interval { stroke: currentColor; stroke-width: 4; stroke-linecap: round; opacity: .45 } .value { fill: currentColor }
.threshold { stroke: var(--ink); stroke-width: 2 } li { margin: .15rem 0 } @media print { body { background: none } }
"""


def page(facts: Facts) -> str:
    """The whole document."""
    verdict = facts.gate["verdict"]
    passed = sum(row["verdict"] == "pass" for row in facts.rows)
    head = (
        f'<h1>{escape(facts.recipe)} <span class="badge {verdict}">gate: {verdict}</span></h1>'
        f'<div class="sub">{passed} of {len(facts.rows)} criteria, {int(facts.training["updates"]):,} updates, '
        f"{int(facts.training['parameters']):,} parameters. {escape(facts.lineage_verdict)}.</div>"
    )
    body = "\n".join((head, *_sections(facts)))
    title = f"{facts.recipe}: gate {verdict}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _sections(facts: Facts) -> Iterator[str]:
    if facts.gate["reasons"]:
        yield "<ul>" + "".join(f'<li class="fail">{escape(reason)}</li>' for reason in facts.gate["reasons"]) + "</ul>"
    yield f'<h2>Margins</h2><section class="card">{margins(facts.rows)}'
    yield '<div class="sub">dot: value; bar: 95% interval; stroke: registered threshold</div>'
    yield f"{_criteria(facts)}</section>"
    against = f"<div>{escape(facts.against)}</div>{_changes(facts)}"
    yield f'<h2>Against the champion</h2><section class="card">{against}</section>'
    yield f'<h2>Curves</h2><div class="curves">{"".join(_curves(facts))}</div>'
    yield f'<h2>Data</h2><section class="card">{_table(("what", "how much"), facts.data)}</section>'
    scalars = [(name, number(value)) for name, value in facts.scalars.items()]
    yield f'<h2>Measured</h2><section class="card">{_table(("name", "value"), scalars)}</section>'
    yield f"<h2>Lineage</h2><pre>{escape(chr(10).join(facts.lineage))}</pre>"
    commands = escape("\n".join(facts.commands))
    yield f"<h2>How to reproduce</h2><pre>{commands}</pre>"
    yield "<h2>Identities</h2>" + "".join(
        f'<div class="id">{escape(n)}: {escape(i)}</div>' for n, i in facts.ids.items()
    )


def _criteria(facts: Facts) -> str:
    rows = []
    for row in facts.rows:
        sign = "&gt;" if row["direction"] == "above" else "&lt;"
        cells = [
            escape(row["name"]),
            number(row["value"]),
            interval(row["interval"]),
            f"{sign} {number(row['threshold'])}",
            number(row["margin"], "+"),
            f"{row['checks']:,}",
            f'<span class="{row["verdict"]}">{row["verdict"]}</span>',
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    names = ("criterion", "value", "95% interval", "threshold", "margin", "checks", "verdict")
    return _framed(names, "".join(rows))


def _changes(facts: Facts) -> str:
    if not facts.changes:
        return ""
    rows = [
        (
            row["name"],
            number(row["champion"]),
            interval(row["interval"]),
            number(row["challenger"]),
            "worse" if row["worse"] else "",
        )
        for row in facts.changes
    ]
    return _table(("criterion", "champion", "its interval", "here", ""), rows)


def _curves(facts: Facts) -> Iterator[str]:
    for name in sorted(facts.curves, key=lambda name: (name != LOSS, name)):
        title = "training loss, nats" if name == LOSS else name.replace("_", " ")
        yield curve(title, facts.curves[name]["updates"], facts.curves[name]["values"])


def _table(names: tuple[str, ...], rows: object) -> str:
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)  # type: ignore[attr-defined]
    return _framed(names, body)


def _framed(names: tuple[str, ...], body: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
