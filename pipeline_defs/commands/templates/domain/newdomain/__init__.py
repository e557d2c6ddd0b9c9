"""Rows of numbers from CSV files as a Stemma domain. The stages are listed in ``domain.py``."""
