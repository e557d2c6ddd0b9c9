"""Dagster glue: assets, checks, partitions, sensors and resources made from the declarations."""

import warnings

import dagster as dg

# Code references and owners are beta features of the pinned Dagster; the pin is what keeps them still.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
