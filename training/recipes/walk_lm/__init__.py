"""walk_lm: a causal transformer on walks with planted long-range rules, judged by a gate that can fail honestly."""

from training.recipes.walk_lm.recipe import WalkLm

RECIPE = WalkLm()
