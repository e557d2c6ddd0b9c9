"""What people get to see of a run: plots of episodes and of verdicts, and losses outside any run."""

import pytest
import torch

from assets_data.domains.episodes.figures import episode_figures, gate_figures
from assets_data.lineage import ConfigError, Store
from tests.assets_data.domains.episodes.made import SPACE, episode, publish
from tests.training.recipes.world_model.conftest import FEW, make_dataset
from training.trainer import Trainer

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("report") / "store")
    make_dataset(store)
    trainer = Trainer("world_model", store=store, preset="smoke", overrides=FEW)
    trainer.train()
    return trainer


def test_episodes_are_drawn_images_too(store):
    drawn = episode_figures(publish(store, [episode(5, seed) for seed in range(4)]))
    assert list(drawn) == ["episodes"] and drawn["episodes"][:4] == PNG
    space = {**SPACE, "obs": {"dtype": "uint8", "shape": [7, 7, 3]}}
    images = publish(store, [episode(9, 1, dtype="uint8", shape=(7, 7, 3))], "images", space)
    assert episode_figures(images)["episodes"][:4] == PNG


def test_a_verdict_is_drawn_with_its_baselines_its_prediction_and_its_planned_episode(trainer):
    trainer.evaluate()
    drawn = gate_figures(trainer.store.pointed("world_model/gate_report"))
    names = ["open loop, error by horizon", "open loop, predicted and true", "a planned episode"]
    assert list(drawn) == names and all(png[:4] == PNG for png in drawn.values())


def test_losses_of_a_checkpoint_are_the_same_every_time_and_touch_no_generator(trainer):
    before = torch.get_rng_state()
    first, second = (trainer.evaluate_loss(max_rows=16) for _ in range(2))
    assert first == second and torch.equal(before, torch.get_rng_state())
    last = trainer.checkpoint.read_json("training.json")["result"]
    whole = trainer.evaluate_loss(max_rows=8)
    assert whole["loss"] == pytest.approx(last["val_loss"], rel=1e-4)
    assert trainer.evaluate_loss("train", 16)["loss"] != first["loss"]
    with pytest.raises(ConfigError, match="SPLIT_EMPTY"):
        trainer.evaluate_loss("nothing")
