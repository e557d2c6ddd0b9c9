"""A small network for regression on the rows of newdomain."""

from newrecipe.recipe import Regression

RECIPE = Regression()
