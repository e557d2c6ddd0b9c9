"""Bytes in, snapshots out: sources, text, walks, and the lineage every room stands on. Never imports torch or dagster."""
