"""Every domain, recipe and stage there is, and which stages lie above which. Imports neither Dagster nor torch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from assets_data.domain import Domain, broken_plugins, find_domains
from assets_data.lineage import ConfigError
from assets_data.lineage.queries.reach import PartChanges, Rules
from assets_data.soundness import input_problems
from assets_data.stage import Stage, load
from training.recipe import Recipe, broken_recipes, discover
from training.recipe_stages import recipe_stages

T = TypeVar("T")
TRAINING_STATE = "training_state"


@dataclass(frozen=True)
class Catalogue:
    """``stages`` are by kind, parents before children within a domain or recipe; ``broken`` names what was left out."""

    domains: Mapping[str, Domain]
    recipes: Mapping[str, Recipe]
    stages: Mapping[str, Stage]
    broken: Mapping[str, str]

    def above(self, kinds: Iterable[str]) -> list[Stage]:
        """The stages of these kinds and all their ancestors, parents first. Raises ConfigError STAGE_UNKNOWN."""
        order: dict[str, Stage] = {}
        pending = [(kind, False) for kind in reversed(list(kinds))]
        while pending:
            kind, expanded = pending.pop()
            if kind in order:
                continue
            stage = self.stage(kind)
            if expanded:
                order[kind] = stage
                continue
            pending.append((kind, True))
            pending += [(given.kind, False) for given in stage.inputs.values() if given.kind not in order]
        return list(order.values())

    def stage(self, kind: str) -> Stage:
        """The stage that makes a kind. Raises ConfigError STAGE_UNKNOWN."""
        if kind not in self.stages:
            raise ConfigError("STAGE_UNKNOWN", "no stage makes this", expected=sorted(self.stages), found=kind)
        return self.stages[kind]

    def recipe(self, name: str) -> Recipe:
        """A recipe by name. Raises ConfigError CHAIN_UNKNOWN_RECIPE, saying why where it was left out."""
        if name not in self.recipes:
            why = self.broken.get(name)
            what = f"this recipe was left out: {why}" if why else "no such recipe"
            raise ConfigError("CHAIN_UNKNOWN_RECIPE", what, expected=sorted(self.recipes), found=name)
        return self.recipes[name]

    def sliced_by(self, stage: Stage) -> Domain | None:
        """The domain whose slices a stage is made for, one by one; None for a stage over all of them.

        A recipe's own sliced stage goes by the slices of what it reads.
        """
        if not stage.sliced:
            return None
        if stage.owner in self.domains:
            return self.domains[stage.owner]
        read = [self.stages[given.kind] for given in stage.inputs.values() if not given.many]
        return next((domain for other in read if (domain := self.sliced_by(other))), None)

    def rules(self) -> Rules:
        """What is declared of kinds, for following records."""
        return Rules(learns=self._learns, part=self._part)

    def _learns(self, kind: str) -> str | None:
        if kind.endswith(f"/{TRAINING_STATE}"):  # as of a checkpoint, its order says which rows it took
            return "nothing"
        return self.stages[kind].learns if kind in self.stages else None

    def _part(self, kind: str, name: str) -> PartChanges | None:
        given = self.stages[kind].inputs.get(name) if kind in self.stages else None
        return load(given.part.changes) if given and given.part else None


@functools.cache
def catalogue() -> Catalogue:
    """What is in the tree and what installed packages offer."""
    domains, recipes = find_domains(), discover()
    refused: dict[str, str] = {}
    for name in domains.keys() & recipes.keys():  # of two with one name the tree's is kept
        refused[name] = f"a domain and a recipe are both called {name}"
        if recipes[name].in_tree:
            domains = _without(domains, [name])
        else:
            recipes = _without(recipes, [name])
    refused |= (same := _same_jobs(domains, own_jobs(domains, recipes)))
    domains = _without(domains, same)
    every: list[Stage] = []
    refused |= _grow({name: domain.stages for name, domain in domains.items()}, every)
    refused |= _grow({name: recipe_stages(recipe) for name, recipe in recipes.items()}, every)
    broken, made = {**broken_plugins(), **broken_recipes(), **refused}, {stage.owner for stage in every}
    return Catalogue(
        _without(domains, domains.keys() - made),
        _without(recipes, recipes.keys() - made),
        {stage.kind: stage for stage in every},
        broken,
    )


def _without(named: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    left_out = set(names)
    return {name: one for name, one in named.items() if name not in left_out}


def _grow(owners: Mapping[str, Sequence[Stage]], every: list[Stage]) -> dict[str, str]:
    """Add to ``every`` the stages of those that read what is made by then; why the others cannot be made, by name.

    Whoever reads another one's comes after it, and a circle is never ready.
    """
    waiting = dict(owners)
    while ready := [name for name, stages in waiting.items() if not _problems(stages, every)]:
        for name in ready:
            every += waiting.pop(name)
    return {name: "; ".join(_problems(stages, every)) for name, stages in waiting.items()}


def _problems(stages: Iterable[Stage], made: Iterable[Stage]) -> list[str]:
    """What some stages, parents first, read that is not made, or not as they read it."""
    sliced = {stage.kind: stage.sliced for stage in made}
    found: set[str] = set()
    for stage in stages:
        found.update(input_problems(stage, sliced))
        sliced[stage.kind] = stage.sliced
    return sorted(found)


def own_jobs(domains: Iterable[str], recipes: Iterable[str]) -> list[str]:
    """What the code location calls jobs of its own: one for the store, or for each domain or recipe."""
    of_domains = [f"{name}_{what}" for name in domains for what in ("to_checkpoint", "slices_alone", "dataset")]
    return ["gc", "make_slices", "verify_everything", *of_domains, *(f"retrain_{name}" for name in recipes)]


def _same_jobs(domains: Mapping[str, Domain], own: Iterable[str]) -> dict[str, str]:
    """The domains with a job that is called as another one's or as one of our ``own``; the tree's keep theirs."""
    taken = dict.fromkeys(own, "Stemma itself")
    found: dict[str, str] = {}
    for domain in sorted(domains.values(), key=lambda domain: not domain.in_tree):
        holder = f"the domain {domain.name}"
        for job in domain.jobs:
            if taken.setdefault(job.name, holder) != holder:
                found[domain.name] = f"{taken[job.name]} has a job called {job.name} too"
    return found
