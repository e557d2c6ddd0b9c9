"""``stemma prove``: a proof that a record is, or is not, in a snapshot; and the check of one made elsewhere."""

from __future__ import annotations

import base64
from argparse import Namespace
from pathlib import Path

from assets_data.lineage import DataError, canonical_json
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.proof import check_document, prove_record
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.storage.atomic import write_bytes
from assets_data.lineage.storage.records import parse_record
from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.nodes import default_store, find_node


def prove(options: Namespace) -> Answer:
    """Prove (and check the proof before showing it); status 1 where the record is absent."""
    snapshot, record = find_node(options.node), parse_record(options.record)
    if snapshot.content["records"] is None:
        raise _no_records(snapshot.id)
    document = prove_record(snapshot, record)
    _, present = check_document(document)
    if options.output:
        write_bytes(Path(options.output), canonical_json(document) + b"\n")
    lines = [
        f"{record.hex()} is {'' if present else 'not '}among the {snapshot.content['records']['count']:,} records of",
        f"{snapshot.kind}  {snapshot.id}",
        f"record root {snapshot.content['records']['root']}",
        f"proof of {len(base64.b64decode(document['proof'])):,} bytes: {document['proof']}",
    ]
    return Answer(document={**document, "present": present, "id": snapshot.id}, lines=lines, ok=present)


def check(options: Namespace) -> Answer:
    """Check a proof file; status 1 where the record is shown absent. Raises IntegrityError when it shows nothing."""
    path = Path(options.file)
    document = load_json(path.read_bytes(), path)
    snapshot_id, present = check_document(document)
    says = {"id": snapshot_id, "record": document["record"], "present": present}
    return Answer(document=says, lines=[f"{k:<8}{v}" for k, v in says.items()], ok=present)


def _no_records(snapshot_id: str) -> DataError:
    nodes = load_tree(default_store(), [snapshot_id]).values()
    holding = [f"{n.kind} {n.id}" for n in nodes if n.snapshot and n.snapshot.content["records"]]
    what, action = "this node names no records of its own", "prove against one of its ancestors: " + ", ".join(holding)
    return DataError("PROOF_NO_RECORDS", what, found=snapshot_id, action=action)
