"""One training as its stages see it: a recipe on its inputs in a store, and what its preflight registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from assets_data.documents import Registration, read_registration
from assets_data.lineage import ConfigError, DataError, Snapshot, Store, digest_json, from_recorded
from training.data import Data
from training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every function that trains, judges or publishes needs. ``inputs`` are by the recipe's names for them."""

    store: Store
    recipe: Recipe
    inputs: Mapping[str, Snapshot]
    preflight: Snapshot

    @cached_property
    def registration(self) -> Registration:
        """What the preflight registered, after checking it to the last value.

        Raises ConfigError PREFLIGHT_OTHER_DATA, or PREFLIGHT_NOT_OK listing the errors.
        """
        self.preflight.verify(deep=True)
        registration = read_registration(self.preflight)
        expected = {name: snapshot.id for name, snapshot in self.inputs.items()}
        if (found := registration["inputs"]) != expected:
            raise ConfigError("PREFLIGHT_OTHER_DATA", "made for other data", expected=expected, found=found)
        if not registration["ok"]:
            errors = registration["errors"]
            listed = "; ".join(f"{code} at {path}: {message}" for code, path, message in errors)
            what, action = (
                f"{len(errors)} errors: {listed}",
                "change what the issues name, then run the preflight again",
            )
            raise ConfigError("PREFLIGHT_NOT_OK", what, where=self.preflight.path, action=action)
        return registration

    @cached_property
    def config(self) -> Any:
        """The full config, as registered."""
        return from_recorded(self.recipe.config_type, self.registration["config"])

    @cached_property
    def data(self) -> Data:
        """The recipe's data, opened."""
        return self.recipe.open_data(self.store, self.inputs, self.config)

    @property
    def parents(self) -> dict[str, Snapshot]:
        """All that training and gate read: the inputs, the preflight, and the snapshots that hold the rows."""
        members = {name: self.store.opened(member) for name, member in self.data.members.items()}
        return {**self.inputs, "preflight": self.preflight, **members}


def run_name(job: Job, code: str, facts: Mapping[str, Any]) -> str:
    """The name of a training's run directory: of preflight, code and (``facts``, where it has one) its origin."""
    identity = [job.preflight.id, code, *([facts] if facts else [])]
    return f"{job.recipe.name}-{digest_json(identity).removeprefix('sha256:')[:16]}"


def named_inputs(recipe: Recipe, inputs: Mapping[str, Any]) -> dict[str, Snapshot]:
    """Those of ``inputs`` that the recipe reads. Raises DataError RECIPE_INPUTS when one is missing."""
    if missing := [name for name in recipe.inputs if name not in inputs]:
        wanted = {name: given.kind for name, given in recipe.inputs.items()}
        raise DataError("RECIPE_INPUTS", f"{recipe.name} reads more", expected=wanted, found=f"no {missing}")
    return {name: inputs[name] for name in recipe.inputs}


def references(job: Job) -> dict[str, Any]:
    """The ids that lie beside every checkpoint of the run, for whoever finds one years later."""
    inputs = {name: snapshot.id for name, snapshot in job.inputs.items()}
    return {**inputs, "preflight": job.preflight.id, "recipe": job.recipe.name}
