"""The domains and recipes of this tree. What else is installed here is no part of these pages."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Mapping

from assets_data import domains
from assets_data.domain import Domain
from assets_data.stage import Stage
from pipeline_defs.catalogue import catalogue
from training import recipes
from training.recipe import Recipe
from training.recipe_stages import recipe_stages


@functools.cache
def tree_domains() -> Mapping[str, Domain]:
    """Domain by name."""
    names = {info.name for info in pkgutil.iter_modules(domains.__path__)}
    return {name: domain for name, domain in catalogue().domains.items() if name in names}


@functools.cache
def tree_recipes() -> Mapping[str, Recipe]:
    """Recipe by name."""
    names = {info.name for info in pkgutil.iter_modules(recipes.__path__)}
    return {name: recipe for name, recipe in catalogue().recipes.items() if name in names}


def owners() -> Mapping[str, tuple[Stage, ...]]:
    """The stages of each domain, then those of each recipe."""
    found = {name: domain.stages for name, domain in tree_domains().items()}
    return {**found, **{name: recipe_stages(recipe) for name, recipe in tree_recipes().items()}}
