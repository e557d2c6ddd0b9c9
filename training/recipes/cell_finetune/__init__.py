"""Cells' labels or numbers from a published cell_mlm checkpoint: a head, whole fine-tuning, or low-rank adapters."""

from training.recipes.cell_finetune.recipe import CellFinetune

RECIPE = CellFinetune()
