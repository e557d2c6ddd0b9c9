"""``stemma prove``: a proof that a record is, or is not, in a snapshot; and the check of one made elsewhere."""

from __future__ import annotations

import base64
import re
from argparse import Namespace
from pathlib import Path

from assets_data.lineage import DataError, IntegrityError, Snapshot, canonical_json, digest_json
from assets_data.lineage.queries.proof import check_document, prove_record
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.storage.atomic import write_bytes, write_json
from pipeline_defs.answers.answer import Answer, read_given
from pipeline_defs.answers.nodes import default_store, find_id, find_node, find_record, find_store
from pipeline_defs.answers.retention.needs import PROOFS


def prove(options: Namespace) -> Answer:
    """Prove (and check the proof before showing it); status 1 where the record is absent."""
    snapshot = find_node(options.node)
    record = find_record(find_store(options.node), options.record)
    if snapshot.content["records"] is None:
        raise _no_records(snapshot.id)
    document = prove_record(snapshot, record)
    _, present = check_document(document)
    if options.output:
        write_bytes(Path(options.output), canonical_json(document) + b"\n")
        _note_given(snapshot, record, options.output)
    lines = [
        f"{record.hex()} is {'' if present else 'not '}among the {snapshot.content['records']['count']:,} records of",
        f"{snapshot.kind}  {snapshot.id}",
        f"record root {snapshot.content['records']['root']}",
        f"proof of {len(base64.b64decode(document['proof'])):,} bytes: {document['proof']}",
    ]
    return Answer(document={**document, "present": present, "id": snapshot.id}, lines=lines, ok=present)


def _note_given(snapshot: Snapshot, record: bytes, output: str) -> None:
    """Remember that a proof about this snapshot is out: what was proven is kept, and a deletion says which remain."""
    note = {"snapshot": snapshot.id, "record": record.hex(), "file": Path(output).name}
    name = digest_json(note).removeprefix("sha256:")
    write_json(default_store().root / PROOFS / f"{name}.json", note)


def check(options: Namespace) -> Answer:
    """Check a proof file against the snapshot it must be about; status 1 where the record is shown absent.

    Anybody can prove anything about a snapshot of their own making, so without an expected id nothing is decided and
    the status is 3. Raises IntegrityError when the proof shows nothing, PROOF_SNAPSHOT when it is about another one.
    """
    path = Path(options.file)
    document = read_given(path)
    snapshot_id, present = check_document(document)
    says: dict[str, object] = {"id": snapshot_id, "record": document["record"], "present": present}
    says["compared"] = options.snapshot is not None
    if says["compared"] and (expected := expected_id(options.snapshot)) != snapshot_id:
        what, action = "this proof is about another snapshot", "ask for a proof against the snapshot that you know"
        raise IntegrityError("PROOF_SNAPSHOT", what, expected=expected, found=snapshot_id, where=path, action=action)
    lines = [f"{name:<10}{value}" for name, value in says.items()]
    if not says["compared"]:
        lines.append("NOT COMPARED: this proves something about the snapshot above and nothing about any other.")
        lines.append("Compare its id with the one you know from elsewhere, or say --snapshot ID.")
    return Answer(document=says, lines=lines, ok=present, undecided=not says["compared"])


def expected_id(text: str) -> str:
    """A full snapshot id as it is, or the one in the store that begins like this. Raises as ``nodes.find_id``."""
    digits = text.removeprefix("sha256:")
    return f"sha256:{digits}" if re.fullmatch("[0-9a-f]{64}", digits) else find_id(text)


def _no_records(snapshot_id: str) -> DataError:
    nodes = load_tree(default_store(), [snapshot_id]).values()
    holding = [f"{n.kind} {n.id}" for n in nodes if n.snapshot and n.snapshot.content["records"]]
    what, action = "this node names no records of its own", "prove against one of its ancestors: " + ", ".join(holding)
    return DataError("PROOF_NO_RECORDS", what, found=snapshot_id, action=action)
