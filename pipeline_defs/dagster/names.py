"""What Dagster calls a stage: the key of its asset, and the op that makes it, which run config is for."""

from __future__ import annotations

import dagster as dg


def asset_key(kind: str) -> dg.AssetKey:
    """``text/triples``: domain or recipe, then stage."""
    return dg.AssetKey(kind.split("/"))


def op_name(kind: str) -> str:
    """``text__triples``."""
    return kind.replace("/", "__")
