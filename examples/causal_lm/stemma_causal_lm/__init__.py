"""A plain causal language model as a recipe of Stemma. Importing this needs no torch."""

from stemma_causal_lm.recipe import CausalLm

RECIPE = CausalLm()
