"""One recipe on one manifest, from Python: ``train("walk_lm", "text/dataset_manifest", store=path)``.

The same stages as the assets run, one after the other: preflight, checkpoint, gate. Needs no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage import ConfigError, Snapshot, Store, resolve
from training.recipe import Recipe, discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

if TYPE_CHECKING:
    from training.branch import Origin


class Trainer:
    """A recipe, its full config, a manifest and the store that holds it. ``checkpoint`` is set once trained."""

    def __init__(
        self,
        recipe: str | Recipe,
        manifest: str | Snapshot,
        *,
        store: Store | Path | str,
        preset: str = "demo",
        overrides: Mapping[str, Any] | None = None,
        config: Any = None,
    ) -> None:
        """``manifest`` is a snapshot, its id, or a name. A ``config`` stands in for preset and overrides.

        Raises ConfigError for an unknown recipe, preset or field, DataError or IntegrityError for the manifest.
        """
        requested = {"preset": preset, "overrides": dict(overrides or {})} if config is None else {}
        self.store = store if isinstance(store, Store) else Store(Path(store), requested)
        self.recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
        self.config = resolve(self.recipe.presets, preset, overrides or {}) if config is None else config
        self.manifest = find_manifest(self.store, manifest) if isinstance(manifest, str) else manifest
        self.preflight: Snapshot | None = None
        self.checkpoint: Snapshot | None = None

    def train(self, origin: Origin | None = None) -> Snapshot:
        """The checkpoint: trained now, resumed, or as it was published before (``reused``)."""
        self.preflight = make_preflight_report(self.store, self.recipe, self.manifest, self.config)
        self._point("preflight_report", self.preflight)
        self.checkpoint = make_checkpoint(self.store, self.recipe, self.manifest, self.preflight, origin)
        return self._point("checkpoint", self.checkpoint)

    def evaluate(self) -> dict[str, Any]:
        """The gate's ``result.json`` for the checkpoint, training it first if need be."""
        checkpoint, preflight = self._trained()
        report = make_gate_report(self.store, self.recipe, self.manifest, preflight, checkpoint)
        return self._point("gate_report", report).read_json("result.json")

    def runtime_profile(self) -> dict[str, Any]:
        """Seconds to the first update, seconds, updates per second: of the process that finished the training."""
        return self._trained()[0].read_json("training.json")["profile"]

    def _trained(self) -> tuple[Snapshot, Snapshot]:
        """Checkpoint and preflight."""
        if self.checkpoint is None or self.preflight is None:
            self.train()
        return self.checkpoint, self.preflight  # type: ignore[return-value]

    def _point(self, stage: str, snapshot: Snapshot) -> Snapshot:
        self.store.point(f"{self.recipe.name}/{stage}", snapshot)
        return snapshot


def train(recipe: str | Recipe, manifest: str | Snapshot, *, origin: Origin | None = None, **choices: Any) -> Trainer:
    """Train and return the trainer; ``choices`` are those of :class:`Trainer` (store, preset, overrides, config)."""
    trainer = Trainer(recipe, manifest, **choices)
    trainer.train(origin)
    return trainer


def find_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ConfigError RECIPE_UNKNOWN listing the names."""
    recipes = discover()
    if name not in recipes:
        raise ConfigError("RECIPE_UNKNOWN", "no such recipe", expected=f"one of {sorted(recipes)}", found=name)
    return recipes[name]


def find_manifest(store: Store, named: str) -> Snapshot:
    """A dataset manifest by id or by name, verified."""
    return store.snapshot(named) if is_id(named) else store.pointed(named)


def is_id(named: str) -> bool:
    """64 hex digits, with or without ``sha256:`` before them."""
    digits = named.removeprefix("sha256:")
    return len(digits) == 64 and not set(digits) - set("0123456789abcdef")
