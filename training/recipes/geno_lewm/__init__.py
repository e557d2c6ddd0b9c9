"""What DNA edits do to a frozen encoder's state: a causal predictor of the state's change, edit by edit."""

from training.recipes.geno_lewm.recipe import GenoLewm

RECIPE = GenoLewm()
