"""The champion of a recipe: the one checkpoint that ships. What it is, how it moves, and its folder."""
