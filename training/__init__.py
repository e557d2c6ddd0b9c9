"""Training: one loop, its order, checkpoints, gates, and the recipes that use them.

Owns everything between a dataset manifest and a judged checkpoint. Runs alone on a machine with torch, numpy, pyarrow
and safetensors. Names, presets and configs import without torch; tensor code is imported where it runs.
"""
