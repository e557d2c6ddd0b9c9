"""A masked language model on bases: convolutions that see 30 bases on each side. Made to be an encoder."""

from training.recipes.dna_lm.recipe import DnaLm

RECIPE = DnaLm()
