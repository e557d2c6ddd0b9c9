"""What the preflight says of learners that had learned from records which are held out now.

What learns, and from which split, is declared with each stage; domains say which records stand for the same content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from assets_data.domain import find_domains
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.leaks import Leak, find_leaks
from assets_data.lineage.queries.tree import load_tree
from assets_data.stage import load
from training.config import TrainConfig
from training.findings import Issue
from training.recipe import discover


def learner_leaks(store: Store, inputs: Mapping[str, Snapshot]) -> list[Leak]:
    """The leaks of the inputs and of all their ancestors."""
    domains = find_domains()
    stages = [stage for domain in domains.values() for stage in domain.stages]
    stages += [stage for recipe in discover().values() for stage in recipe.derived]
    learns = {stage.kind: stage.learns for stage in stages}
    ids = list(dict.fromkeys(snapshot.id for snapshot in inputs.values()))
    alike = [load(domain.alike) for domain in domains.values() if domain.alike]
    return find_leaks(load_tree(store, ids), ids, learns.get, alike)


def leak_issues(leaks: Iterable[Leak], plan: TrainConfig) -> Iterator[Issue]:
    """One issue each: an error, unless leaks are asked to be registered and trained under."""
    for leak in leaks:
        message = (
            f"{leak.kind} {leak.learner.removeprefix('sha256:')[:12]} had learned from {leak.records:,} records that "
            f"are held out now, such as {leak.example[:12]}; make it again without them, or set train.allow_leaks"
        )
        yield Issue("LEARNER_LEAK", "warning" if plan.allow_leaks else "error", f"inputs.{leak.kind}", message)
