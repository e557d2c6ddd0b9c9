"""Bytes in, snapshots out: sources, text, walks, and the lineage every room stands on. Never torch, never dagster."""
