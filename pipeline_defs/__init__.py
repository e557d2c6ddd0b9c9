"""Thin Dagster glue over the rooms: assets, checks, resources and the ``stemma`` command. Importing it imports no torch."""
