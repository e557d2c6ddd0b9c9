"""Bytes in, snapshots out: sources, text, walks, and the lineage that every room uses. Never torch, never dagster."""
