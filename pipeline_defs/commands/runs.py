"""Dagster runs of a chain's stages: one over what is whole, one over many slices; and what a person is told of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets_data.lineage import StemmaError, Store
from assets_data.stage import Stage
from pipeline_defs.dagster.chain_jobs import job_of
from pipeline_defs.dagster.names import asset_key, op_name
from pipeline_defs.dagster.runs import execute
from pipeline_defs.dagster.slices import JOB, OP, SLICES_A_RUN, CheckFailed
from pipeline_defs.definitions import defs
from pipeline_defs.inputs import stage_name, write_slice_set

if TYPE_CHECKING:
    from pipeline_defs.commands.chain import Chain

SHOWN = 20  # slices named one by one; of more of them the number is said
CONSOLE = {"console": {"config": {"log_level": "CRITICAL"}}}


class ChainFailure(Exception):
    """A step of the chain failed; the message is that step's own error. ``through`` are the kinds that were made, or
    found made, before it.
    """

    def __init__(self, message: str, through: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.through = frozenset(through)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRuns:
    """Starts the runs of one chain; ``digest`` names the slices that make up a whole."""

    instance: dg.DagsterInstance
    chain: Chain
    digest: str
    store: Store

    def whole(self, stages: Sequence[Stage], slice_name: str = "") -> None:
        """One run of some stages over all slices, or of one slice, as assets of the graph.

        Raises ChainFailure with the first failing step or blocking check.
        """
        kinds = {stage.kind for stage in stages}
        ops = {op_name(kind): {"config": asked} for kind, asked in self.chain.asked.items() if kind in kinds}
        keys = [asset_key(stage.kind) for stage in stages]
        with self._told(stages, [slice_name]) as started:
            started.result = execute(
                self.instance, job_of(defs, keys), keys, partition=slice_name, **self._options(ops)
            )

    def sliced(self, stages: Sequence[Stage], domain: str, names: Sequence[str]) -> Iterator[Sequence[str]]:
        """Runs of some stages over many slices, up to 500 at a time; yields the slices of each run that went through.

        Raises as :meth:`whole`. Stages that wait in a pool go slice by slice, for only Dagster's own assets do.
        """
        if any(stage.pool for stage in stages):
            for name in names:
                self.whole(stages, name)
                yield [name]
            return
        asked = {stage.kind: self.chain.asked.get(stage.kind, {}) for stage in stages}
        for begin in range(0, len(names), SLICES_A_RUN):
            group = names[begin : begin + SLICES_A_RUN]
            made = write_slice_set(self.store, {domain: list(group)})
            ops = {OP: {"config": {"stages": asked, "domain": domain, "slices": made}}}
            with self._told(stages, group) as started:
                started.result = execute(self.instance, defs.resolve_job_def(JOB), **self._options(ops))
            yield group

    def _options(self, ops: Mapping[str, Any]) -> dict[str, Any]:
        resources = {"store": {"config": {"slice_set": self.digest, **self.chain.how}}}
        return {"tags": self.chain.tags, "run_config": {"resources": resources, "ops": dict(ops), "loggers": CONSOLE}}

    def _told(self, stages: Sequence[Stage], names: Sequence[str]) -> _Told:
        return _Told(self.store, stages, names)


class _Told:
    """Around a run: says what it made and how long it took. Raises ChainFailure where it failed."""

    result: Any = None

    def __init__(self, store: Store, stages: Sequence[Stage], names: Sequence[str]) -> None:
        self._store, self._stages, self._names = store, stages, names
        self._before, self._started = self._pointers(), time.monotonic()

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            return
        reached = self._reached()
        after = {key: pointer if key in reached else None for key, pointer in self._pointers().items()}
        for stage in self._stages:
            words = {name: _word(self._before[stage.kind, name], after[stage.kind, name]) for name in self._names}
            for word in dict.fromkeys(words.values()):
                say(word, stage, [name for name in self._names if words[name] == word])
        one = self._names[0] if len(self._names) == 1 else f"{len(self._names):,} slices"
        done, seconds = self.result.success, time.monotonic() - self._started
        print(f"  {seconds:6.1f} s  {'done' if done else 'FAILED'}{f'  {one}' if one else ''}", flush=True)
        if not done:
            through = {kind for kind, _ in reached if all((kind, name) in reached for name in self._names)}
            raise ChainFailure(_first_error(self.result.events), through)

    def _reached(self) -> set[tuple[str, str]]:
        """Kinds and slices that the run came to the end of: all of them, or, where it failed, those it says."""
        if self.result.success:
            return set(self._before)
        made = [event for event in self.result.events if event.is_step_materialization]
        return {(event.asset_key.to_user_string(), event.partition or "") for event in made}

    def _pointers(self) -> dict[tuple[str, str], Any]:
        return {
            (stage.kind, name): self._store.pointer(stage_name(stage, name))
            for stage in self._stages
            for name in self._names
        }


def say(word: str, stage: Stage, names: Sequence[str]) -> None:
    """A line per slice of what became of a stage, or one line for many of them."""
    if len(names) > SHOWN:
        print(f"           {word:<7} {stage.kind}  {len(names):,} slices", flush=True)
        return
    for name in names:
        print(f"           {word:<7} {stage_name(stage, name)}", flush=True)


def _word(before: Any, after: Any) -> str:
    return "-" if after is None else "reused" if before == after else "made"


def _first_error(events: Iterable[dg.DagsterEvent]) -> str:
    """The first step's own error; of a failed check, what it says of itself."""
    evaluations = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    blocking = (e for e in evaluations if not e.passed and e.blocking and e.severity == dg.AssetCheckSeverity.ERROR)
    for evaluation in blocking:
        name = evaluation.asset_check_key.to_user_string()
        return f"{name} failed: {evaluation.description or 'see its metadata'}"
    for event in events:
        if event.is_step_failure:
            return _message(event.step_failure_data.error)
        if event.is_failure and event.event_specific_data is not None:
            return event.message or "run failed"
    return "run failed"


def _message(error: Any) -> str:
    while error is not None and error.cause is not None and error.cls_name not in _OWN:
        error = error.cause
    return error.message.strip() if error is not None else "step failed"


_OWN = {cls.__name__ for cls in (StemmaError, CheckFailed, *StemmaError.__subclasses__())}
