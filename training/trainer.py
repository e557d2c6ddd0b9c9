"""One recipe from Python: ``train("walk_lm", store=path)`` trains it on what its inputs stand for in the store.

The same stages as the assets run, one after the other: preflight, checkpoint, gate. Needs no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assets_data.documents import Result, read_facts, read_result
from assets_data.lineage import Snapshot, Store, resolve
from training.recipe import Recipe, find_recipe
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

if TYPE_CHECKING:
    from training.callbacks import Callback
    from training.parallel.world import World


class Trainer:
    """A recipe, its full config, its inputs and the store that holds them. ``checkpoint`` is set once trained."""

    def __init__(
        self,
        recipe: str | Recipe,
        manifest: str | Snapshot | None = None,
        *,
        store: Store | Path | str,
        inputs: Mapping[str, str | Snapshot] | None = None,
        preset: str = "demo",
        overrides: Mapping[str, Any] | None = None,
        config: Any = None,
    ) -> None:
        """``manifest`` and ``inputs`` are snapshots, ids or names; what is not given is what the recipe's own input
        names stand for. A ``config`` stands in for preset and overrides.

        Raises ConfigError for an unknown recipe, preset or field, DataError or IntegrityError for an input.
        """
        requested = {"preset": preset, "overrides": dict(overrides or {})} if config is None else {}
        self.store = store if isinstance(store, Store) else Store(Path(store), requested)
        self.recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
        self.config = resolve(self.recipe.presets, preset, overrides or {}) if config is None else config
        given = {**({"manifest": manifest} if manifest is not None else {}), **(inputs or {})}
        wanted = {name: given.get(name, declared.kind) for name, declared in self.recipe.inputs.items()}
        self.inputs = {name: find_input(self.store, named) for name, named in wanted.items()}
        self.preflight: Snapshot | None = None
        self.checkpoint: Snapshot | None = None

    def train(
        self,
        origin: Snapshot | None = None,
        *,
        reset_progress: bool = False,
        callbacks: Sequence[Callback] = (),
        world: World | None = None,
    ) -> Snapshot:
        """The checkpoint: trained now, resumed, or as it was published before (``reused``).

        It begins from ``origin``, a published checkpoint (its weights) or training state (all of it, or the weights
        only with ``reset_progress``). ``callbacks`` look on while it trains; a checkpoint that is reused fires none.
        ``world`` are the processes that train it, of which this one leads.
        """
        self.preflight = make_preflight_report(self.store, self.recipe, self.inputs, self.config)
        self._point("preflight_report", self.preflight)
        self.checkpoint = make_checkpoint(
            self.store,
            self.recipe,
            self.inputs,
            self.preflight,
            origin,
            reset_progress=reset_progress,
            callbacks=callbacks,
            world=world,
        )
        return self._point("checkpoint", self.checkpoint)

    def evaluate(self) -> Result:
        """The gate's ``result.json`` for the checkpoint, training it first if need be."""
        checkpoint, preflight = self._trained()
        report = make_gate_report(self.store, self.recipe, self.inputs, preflight, checkpoint)
        return read_result(self._point("gate_report", report))

    def evaluate_loss(
        self, split: Literal["train", "validation"] = "validation", max_rows: int = 2048
    ) -> dict[str, float]:
        """Mean of every loss of the checkpoint over at most ``max_rows`` rows of a split, always the same ones.

        The mode of the model and every generator are as they were. Raises ConfigError SPLIT_EMPTY without a row.
        """
        from training.evaluation import mean_losses

        checkpoint, _ = self._trained()
        return mean_losses(self.recipe, self.store, self.inputs, checkpoint, split, max_rows)

    def runtime_profile(self) -> dict[str, Any]:
        """Seconds to the first update, seconds, updates per second: of the process that finished the training."""
        return read_facts(self._trained()[0])["profile"]

    def _trained(self) -> tuple[Snapshot, Snapshot]:
        """Checkpoint and preflight."""
        if self.checkpoint is None or self.preflight is None:
            self.train()
        return self.checkpoint, self.preflight  # type: ignore[return-value]

    def _point(self, stage: str, snapshot: Snapshot) -> Snapshot:
        self.store.point(f"{self.recipe.name}/{stage}", snapshot)
        return snapshot


def train(
    recipe: str | Recipe,
    manifest: str | Snapshot | None = None,
    *,
    origin: Snapshot | None = None,
    reset_progress: bool = False,
    callbacks: Sequence[Callback] = (),
    **choices: Any,
) -> Trainer:
    """Train and return the trainer; ``choices`` are those of :class:`Trainer` (store, inputs, preset, overrides,
    config), the others those of :meth:`Trainer.train`.
    """
    trainer = Trainer(recipe, manifest, **choices)
    trainer.train(origin, reset_progress=reset_progress, callbacks=callbacks)
    return trainer


def find_input(store: Store, named: str | Snapshot) -> Snapshot:
    """A snapshot, or the one of that id or name, verified."""
    if isinstance(named, Snapshot):
        return named
    return store.snapshot(named) if is_id(named) else store.pointed(named)


def is_id(named: str) -> bool:
    """64 hex digits, with or without ``sha256:`` before them."""
    digits = named.removeprefix("sha256:")
    return len(digits) == 64 and not set(digits) - set("0123456789abcdef")
