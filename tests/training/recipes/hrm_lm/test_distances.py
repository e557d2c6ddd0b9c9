"""Values by distance and windows: what they depend on, where they reach, that other models keep their weights."""

import numpy as np
import pytest
import torch

from tests.training.recipes.hrm_lm.conftest import build, tiny
from tests.training.recipes.hrm_lm.test_token_core import TOKENS, forward
from training.recipes.hrm_lm.distances import SCALE, Distances
from training.recipes.hrm_lm.flood import VOCABULARY, flood_splits
from training.tokens.rows import pad_batch

RELATIVE = {"model.relative_positions": True}
KINDS = [{**TOKENS}, {**TOKENS, "model.memory": "encoder"}, {**TOKENS, "model.moe.enabled": True}]


def filled(module, std=1.0):
    """Values that differ, as they start at 0."""
    for part in module.modules():
        if isinstance(part, Distances) and part.table is not None:
            torch.nn.init.normal_(part.table.weight, std=std)
    return module


def test_a_value_depends_on_head_and_signed_distance_alone_and_slots_have_none():
    made = filled(Distances(tiny(**RELATIVE).model))
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    mask[1, ..., 6] = False
    found, middle = made(5, mask), made.span
    assert found.shape == (2, 2, 5, 7) and torch.equal(found[:1, ..., :5], made(5, mask[:1, ..., :5]))
    for head in range(2):
        for query in range(5):
            for place in range(5):
                expected = SCALE * made.table.weight[middle + place - query, head]
                assert found[0, head, query, place] == expected
    assert not found[0, ..., 5:].any() and torch.isinf(found[1, ..., 6]).all() and not found[1, ..., 5].any()


def widened(batch):
    """Four places of padding more on the encoder's side, with a window so far away that they see padding alone."""
    wide = {name: torch.nn.functional.pad(value, (0, 4)) for name, value in batch.items() if name.startswith("enc")}
    return {**batch, **wide}


def test_a_window_lets_a_place_read_itself_its_neighbours_and_all_slots():
    made = Distances(tiny(**{"model.window": 2}).model)
    mask = torch.ones(1, 1, 1, 7, dtype=torch.bool)
    mask[..., 3:5] = False  # padding: the last one would read nothing but itself
    found = made(5, mask)[0, 0]
    for query in range(5):
        for place in range(7):
            readable = place >= 5 or place == query or (abs(place - query) <= 2 and place < 3)
            assert found[query, place] == (0.0 if readable else float("-inf")), (query, place)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("relative", [{}, RELATIVE])
def test_with_a_window_what_is_far_comes_one_layer_at_a_time_and_never_through_padding(kind, relative):
    batch = pad_batch(flood_splits(tiny(**TOKENS).data)["train"], np.arange(4))
    model = filled(build(vocab_size=VOCABULARY, **kind, **relative, **{"model.window": 3}).eval(), std=0.1)
    ids, mask = batch["encoder_ids"], batch["encoder_mask"]
    other = ids.clone()
    other[:, 10] = ids[:, 10] % (VOCABULARY - 1) + 1
    moved = (model._encode(ids, mask)[0] != model._encode(other, mask)[0]).any(dim=(0, 2))
    layers = len(model.encoder_blocks)
    assert torch.equal(moved.nonzero().ravel(), torch.arange(10 - 3 * layers, 10 + 3 * layers + 1).clamp(0).unique())
    found = forward(model, widened(batch))
    assert found.isfinite().all() and torch.allclose(found, forward(model, batch), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_values_change_no_logit_and_others_do_but_never_through_padding(kind):
    batch = pad_batch(flood_splits(tiny(**TOKENS).data)["train"], np.arange(4))
    plain = build(vocab_size=VOCABULARY, **kind).eval()
    model = build(vocab_size=VOCABULARY, **kind, **RELATIVE).eval()
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert missing and all(name.endswith("distances.table.weight") for name in missing) and not unexpected
    assert torch.allclose(forward(model, batch), forward(plain, batch), atol=1e-5)
    found = forward(filled(model), batch)
    assert not torch.allclose(found, forward(plain, batch), atol=1e-2)
    assert torch.allclose(forward(model, widened(batch)), found, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_has_a_gradient_and_never_decays(kind):
    from training.optim import undecayed_parameters

    model = build(vocab_size=VOCABULARY, **kind, **RELATIVE).train()
    batch = pad_batch(flood_splits(tiny(**TOKENS).data)["train"], np.arange(4))
    forward(model, batch).square().sum().backward()
    tables = [part.table.weight for part in model.modules() if isinstance(part, Distances)]
    assert len(tables) == (1 if kind.get("model.memory") == "encoder" else 2)
    assert all(table.grad.any() and id(table) in undecayed_parameters(model) for table in tables)
