"""Models of single cells: hidden genes or counts, the next gene, or an autoencoder, on the cells domain."""

from training.recipes.cell_mlm.recipe import CellMlm

RECIPE = CellMlm()
