"""The registered evaluation: how much of the error the model takes away, beside baselines fixed before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assets_data.documents import read_registration
from assets_data.domains.genome.read import KINDS, blocks
from assets_data.lineage import GateError, Snapshot
from training.findings import Evaluation, Measurement
from training.recipes.dna_lm.bootstrap import block_sums
from training.recipes.geno_lewm.batches import batch_of
from training.recipes.geno_lewm.data import GenoData, Rows
from training.recipes.geno_lewm.inspection import BASELINES, NO_CHANGE
from training.recipes.geno_lewm.model import Predictor
from training.resampling import interval95


def predict(model: Predictor, rows: Rows, batch: int = 512) -> np.ndarray:
    """float32[R, K, D]: the predicted change after each step, in units of sigma."""
    device = next(model.parameters()).device
    found: list[Tensor] = []
    with torch.no_grad():
        for begin in range(0, len(rows.row_keys), batch):
            chosen = np.arange(begin, min(begin + batch, len(rows.row_keys)))
            moved = {name: value.to(device) for name, value in batch_of(rows, chosen).items()}
            found.append(model(moved).float().cpu())
    return torch.cat(found).numpy()


def evaluate(model: Predictor, data: GenoData, preflight: Snapshot) -> Evaluation:
    """Skill over no change and gain over the best baseline, of rows of 1 and of 3 edits; gain over the class mean of
    every kind of single edit. The lower bound of each 95% interval is judged. Raises GateError GATE_OTHER_ROWS.
    """
    registered = read_registration(preflight)["evaluation"]
    table, test = preflight.table(BASELINES), data.test
    if not np.array_equal(table["row_key"].to_numpy(), test.row_keys):
        raise GateError("GATE_OTHER_ROWS", "the registered test rows are not those of the data")
    errors = {name: table[name].to_numpy() for name in table.column_names if name != "row_key"}
    predicted = predict(model, test)
    last = predicted[np.arange(len(test.steps_R)), test.steps_R - 1]
    errors["model"] = np.square(last.astype(np.float64) - test.last_change()).sum(1)
    judged = _Judged(errors, test, registered)
    found = [m for steps in (1, 3) for m in judged.by_steps(steps)]
    found += judged.by_kind()
    rows = [judged.row(f"{steps} edits", test.steps_R == steps, steps) for steps in (1, 2, 3)]
    rows += [judged.row(f"1 edit, {kind}", judged.single(number), 1) for number, kind in enumerate(KINDS)]
    cosine = _state_cosines(predicted, test)
    scalars = {f"{name} at {steps} edits": value for steps, pair in cosine.items() for name, value in pair.items()}
    scalars |= {
        f"gain over {name} at {steps} edits": judged.gain(name, test.steps_R == steps)[0]
        for steps in cosine
        for name in errors
        if name not in ("model", NO_CHANGE)
    }
    return Evaluation(measurements=found, scalars=scalars, tables={"groups": rows}, summary=_summary(rows, cosine))


class _Judged:
    """Errors of the model and of every baseline on the same rows, with one set of bootstrap samples."""

    def __init__(self, errors: Mapping[str, np.ndarray], test: Rows, registered: Mapping[str, Any]) -> None:
        self.errors, self.test, self.registered = errors, test, registered

    def single(self, kind: int) -> np.ndarray:
        """bool[R]: rows of one edit of a kind."""
        return (self.test.steps_R == 1) & (self.test.kind_RK[:, 0] == kind)

    def gain(self, baseline: str, chosen: np.ndarray) -> tuple[float, float, float]:
        """``1 - SSE(model) / SSE(baseline)`` on the chosen rows, and its 95% interval by blocks of 100 bases."""
        both = np.stack([self.errors["model"][chosen], self.errors[baseline][chosen]], 1)
        if not len(both):
            return float("nan"), float("nan"), float("nan")
        places = blocks(self.test.place_R[chosen])
        sums = block_sums(both, places, self.registered["resamples"], self.registered["seed"])
        ours, theirs = both.sum(0)
        return float(1 - ours / theirs), *interval95(1 - sums[:, 0] / sums[:, 1])

    def by_steps(self, steps: int) -> list[Measurement]:
        """Skill and gain over the best baseline."""
        chosen, best = self.test.steps_R == steps, self.registered["best"][str(steps)]
        named = (("skill", NO_CHANGE), ("gain", best))
        return [self._low(f"{what}_{steps}_low", f"{what}_{steps}", baseline, chosen) for what, baseline in named]

    def by_kind(self) -> list[Measurement]:
        """Gain over the class mean, of every kind with enough rows."""
        kinds = [
            (number, kind) for number, kind in enumerate(KINDS) if self.single(number).sum() >= self.registered["least"]
        ]
        return [
            self._low(f"gain_over_class_mean_low/{kind}", "class_mean", "class_mean", self.single(number))
            for number, kind in kinds
        ]

    def row(self, name: str, chosen: np.ndarray, steps: int) -> dict[str, Any]:
        """One line of the report: skill of the model and of every baseline, and the gain over the best one."""
        total = {key: float(value[chosen].sum()) for key, value in self.errors.items()}
        base = total[NO_CHANGE] or float("nan")
        best = self.registered["best"][str(steps)]
        skill, gain = self.gain(NO_CHANGE, chosen), self.gain(best, chosen)
        return {
            "group": name,
            "rows": int(chosen.sum()),
            "skill": skill[0],
            "skill_interval": skill[1:],
            "best_baseline": best,
            "gain": gain[0],
            "gain_interval": gain[1:],
            **{f"skill_{key}": 1 - value / base for key, value in total.items() if key not in ("model", NO_CHANGE)},
        }

    def _low(self, name: str, threshold: str, baseline: str, chosen: np.ndarray) -> Measurement:
        _, low, high = self.gain(baseline, chosen)
        return Measurement.lower_bound(name, threshold, (low, high), int(chosen.sum()))


def _state_cosines(predicted: np.ndarray, test: Rows) -> dict[int, dict[str, float]]:
    """Mean cosine of predicted and true *states*, beside that of predicting no change. Shown, never judged: states
    hardly differ, so copying looks good.
    """
    found: dict[int, dict[str, float]] = {}
    for steps in (1, 3):
        rows = np.flatnonzero(test.steps_R == steps)
        if len(rows):
            source, target = test.states_RSD[rows, 0], test.states_RSD[rows, steps]
            ours = source + predicted[rows, steps - 1] * test.sigma_D
            found[steps] = {"state cosine": _cosine(ours, target), "state cosine of no change": _cosine(source, target)}
    return found


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / np.maximum(lengths, 1e-12)).mean())


def _summary(rows: list[dict[str, Any]], cosine: Mapping[int, Mapping[str, float]]) -> list[str]:
    names = [name.removeprefix("skill_") for name in rows[0] if name.startswith("skill_") and name != "skill_interval"]
    head = "".join(f"{name.replace('_', ' '):>18}" for name in names)
    lines = [f"  {'':<16}{'rows':>6}{'skill':>8}{'95% interval':>18}{'gain':>8}{'95% interval':>18}{head}"]
    for row in rows:
        skills = "".join(f"{row[f'skill_{name}']:>18.3f}" for name in names)
        (low, high), (least, most) = row["skill_interval"], row["gain_interval"]
        lines.append(
            f"  {row['group']:<16}{row['rows']:>6}{row['skill']:>8.3f}{low:>9.3f} to {high:.3f}"
            f"{row['gain']:>8.3f}{least:>9.3f} to {most:.3f}{skills}"
        )
    for steps, pair in cosine.items():
        words = ", ".join(f"{name} {value:.3f}" for name, value in pair.items())
        lines.append(f"  {steps} edits: {words} (not judged)")
    return lines
