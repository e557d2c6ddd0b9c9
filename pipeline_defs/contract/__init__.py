"""The contract of domains and recipes, as functions that a plug-in's own tests call, as ours do. Needs no pytest.

    from pipeline_defs.contract import domain_problems, recipe_problems

    def test_the_domain_keeps_the_contract(tmp_path):
        assert domain_problems("genome", tmp_path) == []

Each makes the real thing below a folder, on the smoke preset, and returns every promise that it found broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError

__all__ = ["domain_problems", "recipe_problems", "require"]


def domain_problems(name: str, folder: Path, settings: Mapping[str, Any] | None = None, seed: int = 0) -> list[str]:
    """What a domain does not keep: declarations, replays, checks, withdrawal, freshness.

    ``settings`` make a small source, as ``stemma run --set`` would; ``seed`` chooses what is withdrawn.
    """
    from pipeline_defs.contract.domain import find_problems

    return find_problems(name, folder, settings or {}, seed)


def recipe_problems(name: str, folder: Path, settings: Mapping[str, Any] | None = None) -> list[str]:
    """What a recipe does not keep: declarations, exact continuation, order, members, its three stages."""
    from pipeline_defs.contract.recipe import find_problems

    return find_problems(name, folder, settings or {})


def require(problems: Sequence[str]) -> None:
    """Raise ConfigError CONTRACT_BROKEN that lists the problems, if there are any."""
    if problems:
        raise ConfigError("CONTRACT_BROKEN", f"{len(problems)} promises are not kept: " + "; ".join(problems))
