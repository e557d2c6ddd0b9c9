"""Episodes of reinforcement learning: collected from environments or imported, as a replay store and its sequences."""
