"""The gate: measurements against thresholds that were fixed before training. Owns intervals and the verdict.

Thresholds come from the preflight's registration and from nowhere else. Nothing measured is "undetermined", which is
not a pass. Point estimates decide, as in published runs; Wilson intervals are reported beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.lineage import GateError
from training.findings import Measurement

Z95 = 1.959963984540054


def judge(measurements: Sequence[Measurement], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """``{"verdict", "reasons", "criteria"}``: fail when anything measured is on the wrong side of its threshold.

    Otherwise undetermined when anything had no checks or is not a finite number, or nothing was measured; otherwise
    pass. Raises GateError GATE_NO_THRESHOLD for a measurement without a registered threshold.
    """
    criteria = [_criterion(measurement, thresholds) for measurement in measurements]
    verdicts = {criterion["verdict"] for criterion in criteria}
    verdict = "fail" if "fail" in verdicts else "undetermined" if "undetermined" in verdicts or not criteria else "pass"
    reasons = [_reason(criterion) for criterion in criteria if criterion["verdict"] != "pass"]
    return {
        "verdict": verdict,
        "reasons": reasons or ([] if criteria else ["nothing was measured"]),
        "criteria": criteria,
    }


def wilson(hits: int, checks: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927); (0, 1) when there is nothing to go by."""
    if checks == 0:
        return 0.0, 1.0
    p, z2 = hits / checks, z * z
    centre = (p + z2 / (2 * checks)) / (1 + z2 / checks)
    half = z / (1 + z2 / checks) * math.sqrt(p * (1 - p) / checks + z2 / (4 * checks * checks))
    return max(0.0, centre - half), min(1.0, centre + half)


def _criterion(measurement: Measurement, thresholds: Mapping[str, float]) -> dict[str, Any]:
    if measurement.threshold not in thresholds:
        known = sorted(thresholds)
        raise GateError("GATE_NO_THRESHOLD", "not registered", expected=known, found=measurement.threshold)
    threshold, checks = thresholds[measurement.threshold], measurement.checks
    above = measurement.direction == "above"
    known = checks > 0 and math.isfinite(measurement.value)
    met = measurement.value > threshold if above else measurement.value < threshold
    verdict = "undetermined" if not known else "pass" if met else "fail"
    return {
        "name": measurement.name,
        "threshold": threshold,
        "value": measurement.value if known else None,
        "checks": checks,
        "interval": _interval(measurement),
        "direction": measurement.direction,
        "verdict": verdict,
    }


def _interval(measurement: Measurement) -> list[float] | None:
    if measurement.hits is not None:
        return list(wilson(measurement.hits, measurement.checks))
    return list(measurement.interval) if measurement.interval else None


def _reason(criterion: Mapping[str, Any]) -> str:
    if criterion["verdict"] == "undetermined":
        return (
            f"{criterion['name']} was never checked" if not criterion["checks"] else f"{criterion['name']} is undefined"
        )
    return f"{criterion['name']} is {criterion['value']:.4f}, must be {criterion['direction']} {criterion['threshold']}"
