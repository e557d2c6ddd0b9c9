"""May this checkpoint be continued here? Owns the run's fingerprint and the two answers: refuse, or not bit-exact.

Another corpus, config, seed or code is another run and is refused, with every difference listed. Another thread count,
torch version or device continues, and the run says from then on that it is not bit-exact and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage import TrainingError


def refuse_other_run(saved: Mapping[str, Any], current: Mapping[str, Any], where: Path) -> None:
    """Raise TrainingError RESUME_MISMATCH listing every differing field of the two fingerprints."""
    differences = [f"{path}: {old!r} in the checkpoint, {new!r} now" for path, old, new in differing(saved, current)]
    if differences:
        raise TrainingError(
            "RESUME_MISMATCH",
            "this run directory belongs to another run: " + "; ".join(differences),
            where=where,
            action="give back what differs to resume, or start a new run in an empty directory",
        )


def inexact_reasons(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Why a continuation here may differ in bits from an undisturbed run; empty when it will not."""
    return [f"{path} changed from {old!r} to {new!r}" for path, old, new in differing(saved, current)]


def differing(saved: Any, current: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """``(dotted path, old, new)`` for every leaf that differs; a missing leaf is None."""
    if isinstance(saved, Mapping) and isinstance(current, Mapping):
        for key in sorted({*saved, *current}):
            yield from differing(saved.get(key), current.get(key), f"{path}.{key}" if path else str(key))
    elif saved != current:
        yield path, saved, current
