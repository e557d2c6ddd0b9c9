"""Fresh or stale, and why: every name's receipt against what making it today would read and use.

A node is fresh exactly when the stage would be reused: same code, config, arguments and parents, and what it published
is still whole. It is stale, too, while something above it is stale: what that will become is not known yet. Costs no
hashing of data; whether bytes are what they were is for ``verify`` and ``explain``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets_data.lineage.config import is_mapping
from assets_data.lineage.receipts.receipt import Receipt
from assets_data.lineage.storage.stage_records import PARTS

CONTENT, CONFIG, CODE, PARENT = "content", "config", "code", "parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What making a name today would use; None where it cannot be known, and is then taken to be as it was.

    ``parents`` are the names read, by input; ``parts`` are digests of the part that counts, where only a part of an
    input does. ``content`` says what is wrong with the source or the published files.
    """

    config: Mapping[str, Any] | None = None
    code_version: str | None = None
    arguments: Mapping[str, Any] | None = None
    parents: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One name's verdict. ``reasons`` are ``(kind of reason, words)``; none means fresh."""

    name: str
    id: str
    reasons: Sequence[tuple[str, str]]

    @property
    def fresh(self) -> bool:
        """Whether making it today would find it done."""
        return not self.reasons


def judge(receipts: Mapping[str, tuple[str, Receipt]], expected: Mapping[str, Expectation]) -> dict[str, Standing]:
    """The standing of every name: ``receipts`` maps it to ``(snapshot id, the receipt it points to)``."""
    standings: dict[str, Standing] = {}
    for name in _parents_first(expected):
        snapshot_id, receipt = receipts[name]
        reasons = [
            *_own_reasons(receipt, expected[name]),
            *_parent_reasons(receipt, expected[name], receipts, standings),
        ]
        standings[name] = Standing(name=name, id=snapshot_id, reasons=reasons)
    return {name: standings[name] for name in expected}


def _own_reasons(receipt: Receipt, today: Expectation) -> list[tuple[str, str]]:
    reasons = [(CONTENT, today.content)] if today.content else []
    if today.config is not None and (changed := differing(receipt.config, today.config)):
        reasons.append((CONFIG, "; ".join(changed)))
    if today.arguments is not None and (changed := differing(receipt.arguments, today.arguments)):
        reasons.append((CONTENT, "; ".join(changed)))
    if today.code_version is not None and today.code_version != receipt.code_version:
        reasons.append((CODE, "its code or something it imports was edited"))
    return reasons


def _parent_reasons(
    receipt: Receipt,
    today: Expectation,
    receipts: Mapping[str, tuple[str, Receipt]],
    standings: Mapping[str, Standing],
) -> list[tuple[str, str]]:
    read: dict[str, list[str]] = {}
    for parent in receipt.parents:
        read.setdefault(parent.input, []).append(parent.id)
    reasons: list[tuple[str, str]] = []
    for name, parents in today.parents.items():
        now, then = {receipts[parent][0] for parent in parents}, set(read.get(name, []))
        if name in today.parts and today.parts[name] == receipt.arguments.get(PARTS, {}).get(name):
            then = now
        moved = [parent for parent in parents if receipts[parent][0] not in then]
        reasons += [(PARENT, f"{parent} is another one than was read") for parent in moved]
        if not moved and then - now:
            reasons.append((PARENT, f"{len(then - now)} of its {name} are not there any more"))
        reasons += [
            (PARENT, f"{parent} is stale") for parent in parents if not standings[parent].fresh and parent not in moved
        ]
    return reasons


def _parents_first(expected: Mapping[str, Expectation]) -> list[str]:
    """Every name after the names it reads. Raises ValueError for a circle."""
    order: dict[str, None] = {}
    open_names: set[str] = set()
    pending = [(name, False) for name in reversed(list(expected))]
    while pending:
        name, expanded = pending.pop()
        if name in order:
            continue
        if expanded:
            order[name] = None
            continue
        if name in open_names:
            raise ValueError(f"{name} reads itself")
        open_names.add(name)
        pending.append((name, True))
        parents = (parent for group in expected[name].parents.values() for parent in group)
        pending += [(parent, False) for parent in parents if parent not in order]
    return list(order)


def differing(old: Any, new: Any, path: str = "") -> list[str]:
    """``path: old -> new`` for every leaf that differs between two JSON values."""
    if is_mapping(old) and is_mapping(new):
        keys = sorted({*old, *new})
        return [
            line for key in keys for line in differing(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return [] if same else [f"{path}: {_word(old)} -> {_word(new)}"]


def _word(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)
