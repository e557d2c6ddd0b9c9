"""Comparisons run side by side in one process run; each writes ``benchmarks/results/<name>.json``."""
