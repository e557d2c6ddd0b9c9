"""What Dagster calls a stage: the key of its asset, and the op that makes it, which run config is for; and back."""

from __future__ import annotations

import dagster as dg


def asset_key(kind: str) -> dg.AssetKey:
    """``text/triples``: domain or recipe, then stage."""
    return dg.AssetKey(kind.split("/"))


def published_name(key: dg.AssetKey, partition: str | None) -> str:
    """The store's name for what an asset, or one partition of it, stands for."""
    return "/".join([*key.path, *([partition] if partition else [])])


def op_name(kind: str) -> str:
    """``text__triples``."""
    return kind.replace("/", "__")
