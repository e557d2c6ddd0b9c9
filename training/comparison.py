"""Challenger against champion, on one registered evaluation: the challenger's.

Where the champion was judged by the very same registration (thresholds, prompts, rows and seeds) its own report counts.
Else its weights are judged again under the challenger's, which needs the same inputs of the model: another tokenizer's
losses are no measure. A champion may have been trained on rows that are held out now: that favours the champion, so
the challenger is never promoted by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assets_data.documents import read_facts, read_registration, read_result
from assets_data.lineage import GateError, Snapshot
from training.data import fixed_members
from training.gate import judge
from training.job import Job


def shared_criteria(job: Job, champion: Snapshot, champion_report: Snapshot, champion_preflight: Snapshot) -> Any:
    """``(criteria, how)``: what the champion measures under the challenger's registration (``job``), and how that is
    known. Raises GateError PROMOTE_NO_SHARED_EVALUATION where one model cannot be asked what the other was.
    """
    if evaluation_digest(champion_preflight) == evaluation_digest(job.preflight) and same_rows(
        champion_preflight, job.preflight
    ):
        return read_result(champion_report)["gate"]["criteria"], "both were judged by the same registration"
    facts, registered = read_facts(champion), job.registration
    members = fixed_members(job.data)
    theirs = {name: facts["corpus"].get(name) for name in members}
    if facts["model_inputs"] != registered["model_inputs"] or theirs != members:
        raise GateError(
            "PROMOTE_NO_SHARED_EVALUATION",
            "champion and challenger read other inputs: what one measures says nothing about the other",
            expected={**registered["model_inputs"], **members},
            found={**facts["model_inputs"], **theirs},
            action="look at both, then promote the challenger with --without-comparison REASON",
        )
    return _judged_again(job, champion), "the champion was judged again by the challenger's registration"


def compare(champion: Sequence[Mapping[str, Any]], challenger: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per criterion of either. ``worse``: the challenger lies beyond the champion's interval on the wrong side,
    or, where the champion has none, is simply worse; what only one of them measured cannot be compared and is worse.
    """
    mine, theirs = ({row["name"]: row for row in rows} for rows in (champion, challenger))
    return [_row(name, mine.get(name), theirs.get(name)) for name in dict.fromkeys([*mine, *theirs])]


def evaluation_digest(preflight: Snapshot) -> str:
    """The digest over thresholds, prompts and seeds that a preflight registered."""
    return read_registration(preflight)["evaluation"]["digest"]


def same_rows(one: Snapshot, other: Snapshot) -> bool:
    """Whether two preflights registered the same tables of prompts, and read the same inputs."""
    parts = [{k: v for k, v in each.content["parts"].items() if k != "registration"} for each in (one, other)]
    inputs = [read_registration(each)["inputs"] for each in (one, other)]
    return parts[0] == parts[1] and inputs[0] == inputs[1]


def _judged_again(job: Job, champion: Snapshot) -> list[dict[str, Any]]:
    from training import stages
    from training.callbacks import evaluating
    from training.environment import autocast, reproducible

    config = job.config
    with reproducible(config.train) as device:
        model = stages.load_model(job.recipe, champion).to(device)
        with evaluating(model), autocast(config.train, device):
            evaluation = job.recipe.evaluate(model, job.data, config, job.preflight)
    return judge(evaluation.measurements, job.registration["evaluation"]["thresholds"])["criteria"]


def _row(name: str, champion: Mapping[str, Any] | None, challenger: Mapping[str, Any] | None) -> dict[str, Any]:
    mine, theirs = (row["value"] if row else None for row in (champion, challenger))
    direction = (champion or challenger or {})["direction"]
    interval = champion["interval"] if champion else None
    return {
        "name": name,
        "direction": direction,
        "champion": mine,
        "interval": interval,
        "challenger": theirs,
        "worse": mine is None or theirs is None or _beyond(theirs, mine, interval, direction),
    }


def _beyond(value: float, champion: float, interval: Sequence[float] | None, direction: str) -> bool:
    low, high = interval or (champion, champion)
    return value < low if direction == "above" else value > high
