"""Dagster glue: assets, checks, partitions, sensors and resources made from the declarations."""
