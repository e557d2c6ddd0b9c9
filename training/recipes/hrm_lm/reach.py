"""How far from S a maze's cells are, read from the text, and what a segment of the core is judged on.

A segment is judged on the cells that ``reach`` steps per segment so far come to, and on those that nothing reaches:
what it answers farther off has no gradient. Else the first segment is trained to give the whole answer, and a core that
solves the trained depths at once, and then says the same for ever, is found before one that goes on.

Shapes: B batch, P encoder positions (bos, then R rows of R cells and a newline), T the same places of the decoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.recipes.hrm_lm.flood import START, WALL
from training.tokens.rows import IGNORED


def distances(encoder_ids_BP: Tensor) -> Tensor:
    """int64[B, P]: steps from S; more than any where S does not come, and at places that are no cells."""
    side = int((encoder_ids_BP.shape[1] - 1) ** 0.5)
    cells_BRR = encoder_ids_BP[:, 1:].view(-1, side, side + 1)[..., :side]
    far = side * side
    distance_BRR, before_BRR = torch.where(cells_BRR == START, 0, far), None
    while before_BRR is None or not torch.equal(distance_BRR, before_BRR):
        before_BRR, padded = distance_BRR, F.pad(distance_BRR, (1, 1, 1, 1), value=far)
        around = (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
        nearest_BRR = torch.stack(around).amin(dim=0) + 1
        distance_BRR = torch.where(cells_BRR == WALL, far, torch.minimum(distance_BRR, nearest_BRR))
    rows_BP = F.pad(distance_BRR, (0, 1), value=far).flatten(1)
    return F.pad(rows_BP, (1, 0), value=far)


def judged(labels_BT: Tensor, distance_BT: Tensor, steps: int) -> Tensor:
    """The labels, without those of cells that S reaches in more than ``steps``."""
    far_B1 = distance_BT[:, :1]  # bos is no cell
    return torch.where((distance_BT > steps) & (distance_BT < far_B1), IGNORED, labels_BT)
