"""Thin Dagster glue over the rooms: assets, checks, resources, the ``stemma`` command. Importing it needs no torch."""
