"""The page of all stages, from their declarations."""

from __future__ import annotations

from assets_data.stage import EVERYTHING, NOTHING, ROWS, Input, Stage
from docs.generate.declared import owners, tree_domains
from docs.generate.markdown import code, table

HEAD = """# Stages

What the declarations say, domain by domain and recipe by recipe. The commands, the Dagster assets and this page read
the same ones: `assets_data/domains/<name>/domain.py`, and for every recipe `training/recipe_stages.py`.

![What each stage is made from](../flow.svg)

A double frame stands for one snapshot per slice. A line that longer ways imply is left out: the tables have every
input.
"""
LEARNS = {
    NOTHING: "nothing: it counts or names what it reads",
    ROWS: "the records that its tables name",
    EVERYTHING: "possibly every record that it read",
}


def stages_page() -> str:
    """The picture of the flow, then one table per domain and recipe, with what each stage promises."""
    parts = [HEAD]
    for owner, stages in owners().items():
        kind = "domain" if owner in tree_domains() else "recipe"
        parts.append(f"\n## The {kind} {code(owner)}\n\n{_overview(stages)}\n")
        parts += [_details(stage) for stage in stages]
    return "\n".join(parts)


def _overview(stages: tuple[Stage, ...]) -> str:
    rows = [(code(s.kind), "per slice" if s.sliced else "once", _inputs(s), _checks(s)) for s in stages]
    return table(("stage", "made", "reads", "checks"), rows)


def _details(stage: Stage) -> str:
    rows = [
        ("made by", code(stage.make)),
        ("learns from", _learns(stage.learns)),
        ("presets", ", ".join(map(code, stage.presets)) if stage.presets else "it takes no settings"),
        ("settings in its receipt", ", ".join(map(code, stage.sections)) or ("all" if stage.presets else "none")),
        ("pinned", f"until {code(stage.pin)} asks for another" if stage.pin else "no"),
        *((f"check {code(check.name)}", check.says) for check in stage.checks),
    ]
    on_request = "\n\nMade on request only; it is no asset." if stage.on_request else ""
    return f"### {stage.kind}\n\n{stage.says}{on_request}\n\n{table(('', ''), rows)}"


def _inputs(stage: Stage) -> str:
    return "<br>".join(_input(name, given) for name, given in stage.inputs.items()) or (
        "outside" if stage.source else ""
    )


def _input(name: str, given: Input) -> str:
    many = " of every slice" if given.many else ""
    return f"{code(name)}: {code(given.kind)}{many}{', a part of it' if given.part else ''}"


def _checks(stage: Stage) -> str:
    return ", ".join(code(name) for name in (["schema"] if stage.schema else []) + [c.name for c in stage.checks])


def _learns(learns: str) -> str:
    return LEARNS.get(learns) or f"the records of the {learns.rpartition(':')[2]} split, and it names none"
