"""What can be said of the recipe without data; ``stemma run --recipe causal_lm`` says the rest."""

import torch
from stemma_causal_lm import RECIPE

from training.recipe import check_recipe


def test_it_is_a_sound_recipe_without_contradictions():
    assert list(check_recipe(RECIPE)) == []
    assert [issue for make in RECIPE.presets.values() for issue in RECIPE.check(make())] == []


def test_no_place_sees_a_later_one():
    torch.manual_seed(0)
    model = RECIPE.build_model(RECIPE.presets["smoke"](), {"vocab_size": 50}).eval()
    ids = torch.randint(0, 50, (2, 9))
    changed = ids.clone()
    changed[:, 6] = (ids[:, 6] + 1) % 50
    before, after = model(ids), model(changed)
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-6) and not torch.allclose(before[:, 6:], after[:, 6:])
