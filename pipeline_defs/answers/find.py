"""``stemma find``: from something that a record says to its id."""

from __future__ import annotations

from argparse import Namespace

from assets_data.lineage.queries.reach import all_nodes
from assets_data.lineage.queries.said import find_said
from assets_data.stage import load
from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.carried import carried_fields, in_words
from pipeline_defs.answers.nodes import default_store
from pipeline_defs.answers.uses import withdrawn_from
from pipeline_defs.catalogue import catalogue


def find(options: Namespace) -> Answer:
    """Every record that says it, with where it came from; status 1 where there is none."""
    store, words = default_store(), " ".join(options.words)
    snapshots = [node.snapshot for node in all_nodes(store).values() if node.snapshot]
    gone = {record for records in withdrawn_from(store).values() for record in records}
    found: dict[bytes, tuple[str, str]] = {}
    for domain in catalogue().domains.values():
        if domain.find:
            found |= load(domain.find)(snapshots, words)
            continue
        sources = {stage.kind for stage in domain.stages if stage.source}
        found |= find_said((snapshot for snapshot in snapshots if snapshot.kind in sources), words)
    fields = carried_fields(snapshots, found)
    rows = [
        {
            "record": record.hex(),
            "origin": origin,
            "excerpt": excerpt,
            "withdrawn": record.hex() in gone,
            "carried": fields.get(record, {}),
        }
        for record, (origin, excerpt) in found.items()
    ]
    lines: list[str] = []
    for row in rows:
        gone_mark = "  WITHDRAWN" if row["withdrawn"] else ""
        lines += [f"{row['record']}  {row['origin']}{gone_mark}", f"    {row['excerpt']}"]
        lines += [f"    {line}" for line in in_words(row["carried"])]
    document = {"words": words, "records": rows}
    return Answer(document=document, lines=lines or ["no record says that"], ok=bool(rows))
