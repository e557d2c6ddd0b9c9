"""world_model: latent models of environments, trained on recorded episodes, judged open loop and by planning."""

from training.recipes.world_model.recipe import WorldModel

RECIPE = WorldModel()
