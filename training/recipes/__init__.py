"""Recipes: one folder each, found by name. Adding one edits nothing outside its folder."""
