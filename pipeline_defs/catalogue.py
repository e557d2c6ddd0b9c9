"""Every domain, recipe and stage there is, and which stages lie above which. Imports neither Dagster nor torch."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from assets_data.domain import Domain, broken_plugins, find_domains
from assets_data.lineage import ConfigError
from assets_data.lineage.queries.reach import PartChanges, Rules
from assets_data.stage import Stage, load
from training.recipe import Recipe, broken_recipes, discover
from training.stages import recipe_stages

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
    every = [stage for domain in domains.values() for stage in domain.stages]
    broken = {**broken_plugins(), **broken_recipes()}
    sound: dict[str, Recipe] = {}
    for recipe in _parents_first(recipes.values()):
        stages = recipe_stages(recipe)
        made = {stage.kind for stage in [*every, *stages]}
        if lacking := _lacking(stages, made):
            broken[recipe.name] = f"nothing makes what it reads: {', '.join(lacking)}"
            continue
        sound[recipe.name] = recipe
        every += stages
    return Catalogue(domains, dict(sorted(sound.items())), {stage.kind: stage for stage in every}, broken)


def _lacking(stages: Iterable[Stage], made: Collection[str]) -> list[str]:
    return sorted({given.kind for stage in stages for given in stage.inputs.values()} - set(made))


def _parents_first(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Recipes after those whose checkpoints or tables they read; a circle keeps its order and is found lacking."""
    waiting, done, order = list(recipes), set[str](), list[Recipe]()
    while waiting:
        names = {recipe.name for recipe in waiting}
        ready = [recipe for recipe in waiting if not _owners_read(recipe) & (names - {recipe.name})] or waiting
        order += ready
        done |= {recipe.name for recipe in ready}
        waiting = [recipe for recipe in waiting if recipe.name not in done]
    return order


def _owners_read(recipe: Recipe) -> set[str]:
    given = [*recipe.inputs.values(), *(i for stage in recipe.derived for i in stage.inputs.values())]
    return {one.kind.partition("/")[0] for one in given}
