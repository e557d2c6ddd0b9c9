"""Five environments that no threshold was chosen on, from collection to gate, whatever the figures say.

Small: a few hundred episodes, the demo's ``rssm`` and number of updates, five planned starts of at most 100
steps. CartPole-v1 ends early and has a known controller; Acrobot-v1 and MountainCarContinuous-v0 hardly ever see their
reward under such a policy; MiniGrid shows uint8 grids; HalfCheetah-v5 stands at its baselines, as its model is trained
on a GPU. An environment whose package is not installed is said to be missing.

    python -m benchmarks.world_model_environments [NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets_data.domains.episodes.config import EpisodesConfig, SequencesConfig, SourceConfig, SplitConfig
from assets_data.lineage import ConfigError, Snapshot, Store, with_overrides
from benchmarks.result import save
from benchmarks.world_model import PACKAGES, RECIPE, measure
from benchmarks.world_model_data import dataset
from training.stages import make_preflight_report

ENVIRONMENTS: Mapping[str, SourceConfig] = {
    "CartPole-v1": SourceConfig(env_id="CartPole-v1", hold=3, slices=4),
    "Acrobot-v1": SourceConfig(env_id="Acrobot-v1", max_steps=200, slices=2),
    "MountainCarContinuous-v0": SourceConfig(env_id="MountainCarContinuous-v0", max_steps=200, slices=2),
    "MiniGrid-Empty-5x5-v0": SourceConfig(
        env_id="minigrid:MiniGrid-Empty-5x5-v0", label="minigrid", obs_key="image", policy="uniform", slices=2
    ),
    "HalfCheetah-v5": SourceConfig(env_id="HalfCheetah-v5", max_steps=200, slices=2, episodes=50),
}
TABLES = EpisodesConfig(
    split=SplitConfig(validation_share=0.2, test_share=0.2, least=10), sequences=SequencesConfig(length=16, stride=8)
)
SMALL = {
    "train.max_val_samples": 64,
    "planner.horizon": 12,
    "gate.planning": "reported",
    "gate.plan_starts": 5,
    "gate.plan_steps": 100,
    "gate.horizon": 20,
    "gate.windows": 2,
}
BASELINES_ONLY = ("HalfCheetah-v5",)


def run(store: Store, name: str) -> dict[str, Any]:
    """What the recipe measures of an environment, or of its baselines alone."""
    config = with_overrides(RECIPE.presets["demo"](), SMALL)
    try:
        manifest = dataset(store, ENVIRONMENTS[name], TABLES)
    except ConfigError as error:
        if error.code != "ENV_MISSING":
            raise
        return {"missing": str(error).splitlines()[0]}
    about = {"episodes": manifest.read_json("manifest.json")["splits"]}
    return about | (baselines(store, manifest, config) if name in BASELINES_ONLY else measure(store, manifest, config))


def baselines(store: Store, manifest: Snapshot, config: Any) -> dict[str, Any]:
    """The registered baselines and returns, without a model."""
    preflight = make_preflight_report(store, RECIPE, {"manifest": manifest}, config)
    registered = preflight.read_json("registration.json")["evaluation"]
    return {name: registered[name] for name in ("baselines", "returns", "judged")} | {
        "not_judged": sorted(registered["not_judged"])
    }


def main() -> None:
    """Every environment asked for, each in a store of its own."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or ENVIRONMENTS:
            figures[name] = run(Store(Path(folder) / name / "store"), name)
            save("world_model_environments", PACKAGES, figures)


if __name__ == "__main__":
    main()
