"""The lineage commands of ``stemma``: their arguments and where each is answered. Help imports nothing heavy."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

NODE = "an id (or its first characters), a name like walk_lm/checkpoint, or a path"
RECORD = "a record id (64 hex characters), or an unambiguous beginning of one"
_WHERE = "pipeline_defs.answers."


def add_parsers(commands: Any) -> None:
    """Add every lineage command to the subparsers of ``stemma``."""
    _add_nodes(commands)
    _add_proofs(commands)
    _add_records(commands)
    _add_withdraw(commands)
    _add_comparisons(commands)
    _add_exports(commands)
    _add_signatures(commands)


def _add_nodes(commands: Any) -> None:
    text = "what a node is, from its snapshot and receipt"
    add_answer(commands, "show", f"{_WHERE}nodes:show", text, node=NODE)
    text = "re-hash a node and its receipts, offline"
    verify = add_answer(commands, "verify", f"{_WHERE}nodes:verify", text, node=NODE)
    text = "also require that it and all its ancestors were made sealed"
    verify.add_argument("--sealed", action="store_true", help=text)
    verify.add_argument("--key", metavar="PUBLIC.pem", help="also require signatures by this EC key")
    text = "the whole tree, every node hashed again"
    add_answer(commands, "explain", f"{_WHERE}explain:explain_node", text, node=NODE)


def _add_proofs(commands: Any) -> None:
    text = "a proof that a record is, or is not, among the records of a snapshot"
    prove = add_answer(commands, "prove", f"{_WHERE}proofs:prove", text, record=RECORD, node=NODE)
    prove.add_argument("--output", metavar="FILE", help="also write the proof to this file")
    text = "check a proof file; status 3 without --snapshot: a proof says nothing of which snapshot is the right one"
    check = add_answer(commands, "check-proof", f"{_WHERE}proofs:check", text, file="what `prove --output` wrote")
    check.add_argument("--snapshot", metavar="ID", help="the snapshot it must be about: its id, or a beginning of one")


def _add_records(commands: Any) -> None:
    text = "the records in one update of a checkpoint, with a preview of their text"
    batch = add_answer(commands, "batch", f"{_WHERE}batch:batch", text, node=NODE)
    batch.add_argument("--step", type=int, required=True, metavar="N", help="as metrics.jsonl counts: 1 is the first")
    find = add_answer(commands, "find", f"{_WHERE}find:find", "the ids of the records that say something")
    find.add_argument("words", nargs="+", help="what they say, in this order; several words count as one text")
    text = "every snapshot and checkpoint that holds or saw a record, and at which steps"
    add_answer(commands, "uses", f"{_WHERE}uses:uses", text, record=RECORD)


def _add_withdraw(commands: Any) -> None:
    text = "plan taking records out: what is affected, what learned from them, what it costs; --apply does it"
    withdraw = add_answer(commands, "withdraw", f"{_WHERE}withdrawal.command:withdraw", text)
    withdraw.add_argument("records", nargs="*", metavar="RECORD", help=RECORD)
    text = "all records that belong to this group (a donor, a site); may be given several times"
    withdraw.add_argument("--group", action="append", default=[], metavar="ID", help=text)
    text = "all records of which a source says this, such as donor=D3; may be given several times"
    withdraw.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE", help=text)
    text = "not also those that only stand for the same content, such as another spelling of a text"
    withdraw.add_argument("--only-these", action="store_true", help=text)
    withdraw.add_argument("--apply", action="store_true", help="make the new snapshots and train on from there")
    choice = "a tokenizer or graph that learned from them: keep it, disclosed, or make it again and all above it"
    withdraw.add_argument("--learned", choices=("keep", "rebuild"), default="keep", help=choice)


def _add_comparisons(commands: Any) -> None:
    text = "the whole tree again in a clean store, from the receipts; stops where ids part"
    rebuild = add_answer(commands, "rebuild", f"{_WHERE}rebuild:rebuild", text, node=NODE)
    rebuild.add_argument("--sealed", action="store_true", help="build each stage sealed")
    rebuild.add_argument("--into", metavar="DIR", help="keep the rebuilt store here instead of removing it")
    status = add_answer(commands, "status", f"{_WHERE}status:status", "every asset and slice: fresh or stale, and why")
    status.add_argument("--preset", help="judge configs against this preset, not the one each was asked for with")
    status.add_argument("--offline", action="store_true", help="do not read the sources again")
    text = "what differs between two nodes of a kind: data, config, code, environment, metrics"
    add_answer(commands, "diff", f"{_WHERE}difference:diff", text, a=NODE, b=NODE)


def _add_exports(commands: Any) -> None:
    text = "what the store knows of a node, in a standard file"
    export = add_answer(commands, "export", f"{_WHERE}exports.export:export", text, node=NODE)
    export.add_argument("--format", required=True, choices=("in-toto", "croissant", "cyclonedx", "openlineage", "hf"))
    export.add_argument("--output", metavar="PATH", help="where to write; default: named by node and format, here")


def _add_signatures(commands: Any) -> None:
    text = (
        "hash a node's whole tree, then sign it: every file of every node (DSSE), its own also by OpenSSF model-signing"
    )
    sign = add_answer(commands, "sign", f"{_WHERE}signatures:sign", text, node=NODE)
    sign.add_argument("--key", required=True, metavar="PRIVATE.pem", help="an EC private key (P-256)")
    check = add_answer(
        commands, "check-bundle", f"{_WHERE}signatures:check_file", "check a bundle file", file="a bundle"
    )
    check.add_argument("--key", metavar="PUBLIC.pem", help="also require a signature by this EC key")


def add_answer(commands: Any, name: str, answer: str, text: str, **positional: str) -> argparse.ArgumentParser:
    """One command, answered by ``module:function``, which is imported when it is asked."""
    parser = commands.add_parser(name, help=text, description=text)
    for argument, meaning in positional.items():
        parser.add_argument(argument, help=meaning)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=lambda options: _answer(answer, options))
    return parser


def _answer(address: str, options: argparse.Namespace) -> int:
    module, function = address.split(":")
    return getattr(importlib.import_module(module), function)(options).print(options.json)
