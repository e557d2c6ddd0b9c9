"""The core over token states: what may change an answer, where gradients go, how rows halt, what is judged."""

from itertools import islice

import numpy as np
import pytest
import torch

from assets_data.lineage import ConfigError, with_overrides
from tests.training.recipes.hrm_lm.conftest import build, tiny
from training.collapse import alerts, collapse_metrics
from training.findings import Evaluation
from training.gate import judge
from training.recipes.hrm_lm import RECIPE
from training.recipes.hrm_lm.answers import agreed, answer_maze, exact, measure_flood
from training.recipes.hrm_lm.config import DataConfig, HrmLmConfig
from training.recipes.hrm_lm.flood import VOCABULARY, FloodRows, draw, flood_splits
from training.recipes.hrm_lm.losses import losses
from training.recipes.hrm_lm.token_core import trained_segments
from training.tokens.rows import pad_batch

TOKENS = {
    "model.core.reads": "tokens", "model.core.l_len": 64, "model.prefix_len": 8, "model.core.gradient": "full",
    "model.core.segments": 2, "model.core.eval_segments": 3, "model.core.ds_weight": 1.0, "model.max_tokens": 40,
    "model.gate_bias": 1.0, "data.source": "flood", "data.mazes": 100, "data.judged_mazes": 10,
}  # fmt: skip


def made(**overrides):
    return build(vocab_size=VOCABULARY, **{**TOKENS, **overrides})


def configured(**overrides):
    return tiny(**{**TOKENS, **overrides})


@pytest.fixture(scope="module")
def rows():
    return flood_splits(configured().data)


def forward(model, batch):
    return model(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"]).logits_BTV


def test_padding_batch_mates_and_labels_change_no_logit(rows):
    model, batch = made().eval(), pad_batch(rows["train"], np.arange(4))
    alone = forward(model, pad_batch(rows["train"], np.array([2])))
    assert torch.allclose(forward(model, batch)[2:3], alone, atol=1e-5)
    wider = {
        name: torch.nn.functional.pad(value, (0, 3)) for name, value in batch.items() if name.startswith("encoder")
    }
    wider["encoder_ids"][:, -3:] = 5
    assert torch.allclose(forward(model, {**batch, **wider})[2:3], alone, atol=1e-5)
    wider["encoder_mask"] = torch.ones_like(wider["encoder_mask"])
    assert not torch.allclose(forward(model, {**batch, **wider})[2:3], alone, atol=1e-3)


@pytest.mark.parametrize(
    ("gradient", "first_segment", "first_cycle"),
    [("full", True, True), ("segment", False, True), ("one_step", False, False)],
)
def test_the_gradient_reaches_as_far_as_the_config_says(rows, gradient, first_segment, first_cycle):
    model, batch = made(**{"model.core.gradient": gradient}), pad_batch(rows["train"], np.arange(2))
    x, _ = model._encode(batch["encoder_ids"], batch["encoder_mask"])
    first, second = islice(model.core(x, batch["encoder_mask"]), 2)
    reached = (
        torch.autograd.grad(second.low_BSD.square().sum(), first.low_BSD, allow_unused=True, retain_graph=True)[0]
        if first.low_BSD.requires_grad
        else None
    )
    assert (reached is not None and bool(reached.any())) == first_segment
    start = torch.autograd.grad(first.low_BSD.square().sum(), model.core.low_start.weight, allow_unused=True)[0]
    assert (start is not None and bool(start.any())) == first_cycle


def test_one_segment_gives_what_two_give_after_the_first(rows):
    batch = pad_batch(rows["train"], np.arange(3))
    two = made().train()
    one = made(**{"model.core.segments": 1}).train()
    one.load_state_dict(two.state_dict())
    output = two(batch["encoder_ids"], batch["encoder_mask"], batch["decoder_ids"])
    assert len(output.earlier_BTV) == 1
    assert torch.equal(output.earlier_BTV[0], forward(one, batch))
    assert not torch.allclose(output.logits_BTV, output.earlier_BTV[0], atol=1e-3)


def test_use_runs_eval_segments_and_training_its_own(rows):
    model, batch = made(**{"model.core.eval_segments": 5}), pad_batch(rows["train"], np.arange(3))
    memories = list(islice(model.eval().segments(batch["encoder_ids"], batch["encoder_mask"]), 5))
    assert torch.equal(model.remember(batch["encoder_ids"], batch["encoder_mask"]).final_BMD, memories[4].final_BMD)
    trained = model.train().remember(batch["encoder_ids"], batch["encoder_mask"])
    assert torch.equal(trained.final_BMD, memories[1].final_BMD)


def test_numbers_of_segments_are_keyed_by_the_update_and_take_every_value():
    core = configured(**{"model.core.segments": 5, "model.core.least_segments": 2}).model.core
    drawn = [trained_segments(core, update) for update in range(400)]
    assert drawn == [trained_segments(core, update) for update in range(400)]
    counts = np.bincount(drawn, minlength=6)
    assert counts[:2].sum() == 0 and counts[2:].min() > 70
    assert {trained_segments(configured().model.core, update) for update in range(50)} == {2}


def test_micro_batches_of_an_update_run_the_same_number_of_segments(rows, monkeypatch):
    overrides = {"model.core.segments": 4, "model.core.least_segments": 1, "train.batch_rows": 8}
    model, config = made(**overrides).train(), configured(**overrides)
    seen = []
    for begin in range(0, 64, 4):
        batch = pad_batch(rows["train"], np.arange(begin, begin + 4))
        update = model.core_memory.rows // 8
        losses(model, config, batch)
        seen.append((update, trained_segments(config.model.core, update)))
        assert model.core_memory.rows // 8 == update, "a pass alone counts nothing"
        if begin % 8:  # the second micro-batch ends the update
            RECIPE.after_step(model, config, update + 1)
    assert [update for update, _ in seen] == [place // 2 for place in range(16)]
    assert all(seen[place] == seen[place + 1] for place in range(0, 16, 2)) and len({count for _, count in seen}) > 1


def test_a_row_halts_where_two_segments_agree_whatever_its_batch_mates_do():
    segments = torch.tensor(
        [[[1, 1], [1, 1], [2, 2]], [[1, 1], [2, 1], [2, 2]], [[3, 3], [2, 1], [2, 1]], [[4, 4], [9, 9], [2, 1]]]
    )
    answer, used = agreed(list(segments))
    assert used.tolist() == [2, 3, 2] and answer.tolist() == [[1, 1], [2, 1], [2, 2]]
    for row in range(3):
        alone, count = agreed([segment[row : row + 1] for segment in segments])
        assert alone.tolist() == [answer[row].tolist()] and count.tolist() == [used[row].item()]
    answer, used = agreed(list(torch.tensor([[[1]], [[2]], [[3]]])))
    assert used.tolist() == [3] and answer.tolist() == [[3]]


def test_near_deep_and_gain_are_counted_over_the_registered_mazes(rows):
    model, test = made().eval(), FloodRows(draw(DataConfig(source="flood"), np.arange(1_000, dtype=np.uint64)))
    numbers = np.arange(len(test))[::-1].copy()
    found = measure_flood(model, test, configured(), numbers)
    hits, _ = exact(model, test, numbers, 3)
    depth = test.depth_N[numbers]
    by_name = {one.name: one for one in found.measurements}
    assert by_name["near"].hits == hits[2][depth <= 5].sum() and by_name["deep"].hits == hits[2][depth > 5].sum()
    assert by_name["deep_gain"].value == pytest.approx(hits[2][depth > 5].mean() - hits[1][depth > 5].mean())
    drawn = measure_flood(model, test, configured(**{"model.core.least_segments": 1}), numbers).measurements[2]
    assert drawn.value == pytest.approx(hits[2][depth > 5].mean() - hits[0][depth > 5].mean())
    table = {row["depth"]: row for row in found.tables["exact_by_depth"]}
    assert table[3]["segments_2"] == pytest.approx(hits[1][depth == 3].mean(), abs=1e-4)
    assert table[3]["mazes"] == int((depth == 3).sum())
    assert by_name["deep"].checks == 0, "some depth has fewer than 100 mazes: nothing is claimed"
    verdict = judge(found.measurements, {"near": 0.0, "deep": 0.0, "deep_gain": -1.0})
    assert verdict["verdict"] != "pass"


def test_a_typed_maze_is_drawn_with_its_answer_and_another_text_is_refused():
    model = made().eval()
    maze = "S..#.\n##.#.\n...#.\n.####\n.....\n"
    picture, used = answer_maze(model, maze)
    assert used == 3 and len(picture) == len(maze)
    assert all((mark in "ox") if letter == "." else mark == letter for mark, letter in zip(picture, maze, strict=True))
    with pytest.raises(ConfigError, match="FLOOD_MAZE"):
        answer_maze(model, "How are you?")


def test_the_recipe_registers_every_test_maze_and_no_count_baseline(recipe, triples_store, manifest):
    config = configured()
    data = recipe.open_data(triples_store, {"manifest": manifest}, config)
    findings = recipe.inspect(data, config)
    assert set(findings.thresholds) == {"near", "deep", "deep_gain", "slot_spread"}
    assert len(findings.tables["evaluation_rows.arrow"]) == 100 and not findings.issues
    assert recipe.model_inputs(data, config)["source"] == "flood"
    assert isinstance(recipe.measure(made().eval(), data, config, np.arange(20)), Evaluation)


@pytest.mark.parametrize(
    ("override", "value", "path"),
    [
        ("model.core.l_len", 4, "model.core.l_len"),
        ("model.core.halt_weight", 0.1, "model.core.halt_weight"),
        ("model.bridge", "cross", "model.bridge"),
        ("model.prefix_len", 3, "model.prefix_len"),
        ("model.memory", "core", "model.memory"),
        ("model.core.segments", 0, "model.core"),
        ("model.core.least_segments", 3, "model.core.least_segments"),
        ("model.core.reach", -1, "model.core.reach"),
        ("model.window", 5, "model.window"),
        ("model.window", -1, "model.window"),
        ("data.size", 2, "data"),
        ("gate.deep", 1.0, "gate.deep"),
    ],
)
def test_what_a_core_over_tokens_does_not_use_is_refused(recipe, override, value, path):
    assert list(recipe.check(configured())) == []
    assert path in [issue.path for issue in recipe.check(configured(**{override: value}))]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("segments", 2),
        ("least_segments", 1),
        ("reach", 2),
        ("eval_segments", 2),
        ("gradient", "segment"),
        ("halt", "agree"),
    ],
)
def test_a_pooled_core_refuses_the_new_keys(recipe, override, value):
    assert f"model.core.{override}" in [issue.path for issue in recipe.check(tiny(**{f"model.core.{override}": value}))]


def test_flat_and_plain_models_are_built_and_judged_too(rows):
    for overrides in ({"model.core.h_len": 0}, {"model.memory": "encoder"}):
        model = made(**overrides).eval()
        found = measure_flood(model, rows["test"], configured(**overrides), np.arange(len(rows["test"])))
        assert ("deep_gain" in [one.name for one in found.measurements]) == ("model.memory" not in overrides)


def test_the_preset_is_sound(recipe):
    config: HrmLmConfig = recipe.presets["flood"]()
    assert list(recipe.check(config)) == []
    assert list(recipe.check(with_overrides(config, {"model.core.halt": "agree"}))) == []


def test_the_collapse_monitor_watches_the_latents_after_the_last_segment(rows):
    model, batch = made().eval(), pad_batch(rows["train"], np.arange(6))
    batch["encoder_mask"][:, -4:] = False
    found, pooled = RECIPE.states(model, configured(), batch)["core"]
    *_, last = islice(model.segments(batch["encoder_ids"], batch["encoder_mask"]), 3)
    assert torch.allclose(found, last.core.low_BSD[:, :-4].mean(dim=1), atol=1e-6) and found.shape == pooled.shape
    with torch.no_grad():  # latents that say the same of every maze
        model.core.low_norm.weight.zero_()
    flat = RECIPE.states(model, configured(), batch)["core"]
    healthy = collapse_metrics(found, pooled)["pairwise_pred_dist_mean"]
    assert "pairwise_pred_dist_mean" in alerts(collapse_metrics(*flat), healthy)
    assert "pairwise_pred_dist_mean" not in alerts(collapse_metrics(found, pooled), healthy)
