"""What a recipe says of a run: what it found out before the first update, and what it measured on the checkpoint.

Plain values that the preflight and the gate read. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding about a config or data, by ``Recipe.check`` or ``Recipe.inspect``. Errors stop the run,
    warnings do not. ``path`` is the dotted place in the config or the data.
    """

    code: str
    severity: Literal["error", "warning"]
    path: str
    message: str

    @classmethod
    def error(cls, code: str, path: str, message: str) -> Issue:
        """One that stops the run."""
        return cls(code, "error", path, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a recipe finds out before the first update, and the evaluation it registers for the gate.

    ``dataset`` is for readers. ``thresholds`` (see ``Measurement``), ``evaluation`` (rows, prompts, seeds, baselines:
    JSON) and ``tables`` (what is too long for JSON) are fixed and hashed: ``Recipe.evaluate`` reads them back from
    the preflight's snapshot. The model's inputs are not here; the preflight asks ``Recipe.model_inputs``.
    """

    issues: Sequence[Issue]
    dataset: Mapping[str, Any]
    thresholds: Mapping[str, float]
    evaluation: Mapping[str, Any]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number the gate judges: ``value`` over ``checks`` trials against the registered threshold of that name.

    It passes when it is above the threshold, or below it where ``direction`` says so (a loss, an error). ``hits`` is
    set for proportions and gives the interval; any other measurement may bring its own. No checks: undetermined.
    """

    name: str
    threshold: str
    value: float
    checks: int
    hits: int | None = None
    interval: tuple[float, float] | None = None
    direction: Literal["above", "below"] = "above"

    @classmethod
    def lower_bound(cls, name: str, threshold: str, interval: tuple[float, float], checks: int) -> Measurement:
        """Judged by the lower bound of its interval: what nearly all resamples exceed."""
        return cls(name=name, threshold=threshold, value=interval[0], checks=checks, interval=interval)

    @classmethod
    def undetermined(cls, name: str, threshold: str) -> Measurement:
        """One that could not be made."""
        return cls(name=name, threshold=threshold, value=float("nan"), checks=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a recipe measured on a checkpoint: what is judged, and what is reported beside it (``summary`` in lines)."""

    measurements: Sequence[Measurement] = ()
    scalars: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    summary: Sequence[str] = ()

    @classmethod
    def joined(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """All that the parts say, in their order."""
        return cls(
            measurements=[measurement for part in parts for measurement in part.measurements],
            scalars={name: value for part in parts for name, value in part.scalars.items()},
            tables={name: rows for part in parts for name, rows in part.tables.items()},
            summary=[line for part in parts for line in part.summary],
        )
