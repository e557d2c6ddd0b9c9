"""geno_lewm on a frozen encoder that lies in a local Hugging Face directory."""

from training.recipes.geno_hf.recipe import GenoHf

RECIPE = GenoHf()
