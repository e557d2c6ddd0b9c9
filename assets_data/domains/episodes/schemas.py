"""pandera schemas of the domain's tables, checked on whole columns. Imported by checks and tests only, for its cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandera.polars as pa
import polars as pl

from assets_data.columns import column_failures
from assets_data.documents import read_layout, read_manifest
from assets_data.domains.episodes.raw_slice import iter_episodes
from assets_data.domains.episodes.read import SPLITS, Layout, open_steps
from assets_data.domains.episodes.record import record_id
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Outcome

_HEX = pa.Check.str_matches(r"^[0-9a-f]{64}$")
_DIGEST = pa.Check.str_matches(r"^sha256:[0-9a-f]{64}$")
_NOT_NEGATIVE = pa.Check.ge(0)


def check_schema(_store: Store, snapshot: Snapshot) -> Outcome:
    """Whether everything in a snapshot of this domain keeps its schema."""
    failures = _CHECKS[snapshot.kind](snapshot)
    return Outcome(passed=not failures, facts={"failures": len(failures)}, failures=failures)


def episodes_schema() -> pa.DataFrameSchema:
    """Episodes: each record once, at least a step, and one after the other without a gap."""
    rows = pl.col("length") + 1
    return pa.DataFrameSchema(
        {
            "record_id": pa.Column(pl.String, _HEX, unique=True),
            "row_key": pa.Column(pl.UInt64),
            "begin": pa.Column(pl.Int64, _NOT_NEGATIVE),
            "length": pa.Column(pl.Int64, pa.Check.ge(1)),
            "terminated": pa.Column(pl.Boolean),
            "truncated": pa.Column(pl.Boolean),
            "seed": pa.Column(pl.Int64, pa.Check.ge(-1)),
            "return": pa.Column(pl.Float64, _each(pl.col("return").is_finite(), "returns are finite")),
            "source": pa.Column(pl.String),
        },
        checks=_each(pl.col("begin") == rows.cum_sum() - rows, "an episode begins where the one before it ends"),
        strict=True,
    )


def sequences_schema(length: int) -> pa.DataFrameSchema:
    """Sequences: inside their episode, of the layout's length or of the whole shorter episode."""
    rows, low, high = pl.col("rows"), pl.col("low"), pl.col("high")
    numbers = {name: pa.Column(pl.Int64, _NOT_NEGATIVE) for name in ("episode", "begin", "low")}
    return pa.DataFrameSchema(
        {
            "row_key": pa.Column(pl.UInt64, unique=True),
            "record_id": pa.Column(pl.String, _HEX),
            "slice": pa.Column(pl.Int32, _NOT_NEGATIVE),
            **numbers,
            "rows": pa.Column(pl.Int64, pa.Check.ge(2)),
            "terminated": pa.Column(pl.Boolean),
            "high": pa.Column(pl.Int64, pa.Check.ge(1)),
            "length": pa.Column(pl.Int64, pa.Check.in_range(2, length)),
        },
        checks=[
            _each(low < high, "a sequence has a start"),
            _each(high - 1 + pl.col("length") <= rows, "the last start stays inside the episode"),
            _each(pl.col("length") == pl.min_horizontal(rows, pl.lit(length)), "a short episode is one sequence"),
        ],
        strict=True,
    )


def _raw_slice(snapshot: Snapshot) -> list[dict[str, Any]]:
    frame = pl.DataFrame(snapshot.table("episodes.arrow"))
    failures = column_failures("episodes.arrow", frame, episodes_schema())
    steps = open_steps(snapshot)
    if len(steps.reward) != int((frame["length"] + 1).sum()):
        found = f"{len(steps.reward)} rows"
        return [*failures, {"file": "steps.arrow", "check": "every row is in an episode", "failure_case": found}]
    for name, array in zip(("obs", "action", "reward"), steps, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
            failures.append({"file": "steps.arrow", "column": name, "check": "finite", "index": row})
    if failures:
        return failures
    for row, episode in enumerate(iter_episodes(snapshot)):
        if record_id(episode) != frame["record_id"][row]:
            failures.append({"file": "episodes.arrow", "check": "the id is the digest of the episode", "index": row})
    last = (frame["begin"] + frame["length"]).to_numpy()
    if np.any(steps.reward[last]) or np.any(steps.action[last]):
        failures.append({"file": "steps.arrow", "check": "nothing is done in an episode's last row"})
    return failures


def _statistics(snapshot: Snapshot) -> list[dict[str, Any]]:
    document = snapshot.read_json("statistics.json")
    obs, reward = document["obs"] or {"mean": [], "deviation": []}, document["reward"]
    frame = pl.DataFrame({name: [reward[name], *obs[name]] for name in ("mean", "deviation")})
    finite = [_each(pl.col(name).is_finite(), f"{name} is finite") for name in ("mean", "deviation")]
    schema = pa.DataFrameSchema(
        {"mean": pa.Column(pl.Float64), "deviation": pa.Column(pl.Float64, pa.Check.gt(0))}, checks=finite, strict=True
    )
    wrong = [] if document["mean_length"] >= 1 else [{"file": "statistics.json", "check": "episodes have steps"}]
    return column_failures("statistics.json", frame, schema) + wrong


def _sequences(snapshot: Snapshot) -> list[dict[str, Any]]:
    schema = sequences_schema(read_layout(snapshot, Layout)["length"])
    names = [f"{split}.arrow" for split in SPLITS]
    return [failure for name in names for failure in column_failures(name, pl.DataFrame(snapshot.table(name)), schema)]


def _manifest(snapshot: Snapshot) -> list[dict[str, Any]]:
    document = read_manifest(snapshot)
    members = document["members"]
    ids = [members["sequences"], members["statistics"]]
    schema = pa.DataFrameSchema({"id": pa.Column(pl.String, _DIGEST, unique=True)})
    failed = [check for check in document["checks"] if not check["passed"]]
    return column_failures("manifest.json", pl.DataFrame({"id": ids}), schema) + failed


def _each(expression: pl.Expr, name: str) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(expression), name=name, error=name)


_CHECKS = {
    "episodes/raw_slice": _raw_slice,
    "episodes/statistics": _statistics,
    "episodes/sequences": _sequences,
    "episodes/dataset_manifest": _manifest,
}
