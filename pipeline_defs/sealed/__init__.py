"""Sealed stages: a build in a process that can reach what it declared, and nothing else."""
