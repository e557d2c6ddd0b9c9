"""hrm_lm: an encoder-decoder language model with a hierarchical recurrent core, judged against what counts can do."""

from training.recipes.hrm_lm.recipe import HrmLm

RECIPE = HrmLm()
