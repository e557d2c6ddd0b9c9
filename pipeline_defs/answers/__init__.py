"""The lineage commands: what each asks the store and how it says the answer. No Dagster; torch only to train again."""
