"""What recipes on text tokens share: their data, baselines, registration, held-out loss, writing and export.

A recipe of your own derives from ``CausalRecipe`` (prefix and suffix are one sequence) or ``TokenRecipe`` (they are
read apart) and brings ``build_model`` and a config with ``train: TrainConfig``, ``loss: TokenLoss`` and ``gate:
TokenGate``; the rest has defaults, each of which may be overridden. ``examples/causal_lm`` is a whole one. Importing
this needs no torch.
"""

from training.tokens.causal import CausalRecipe
from training.tokens.config import TokenGate, TokenLoss
from training.tokens.recipe import TokenRecipe

__all__ = ["CausalRecipe", "TokenGate", "TokenLoss", "TokenRecipe"]
