"""The network. B rows, K edits, T = K + 1 tokens, D width of a state, H width of the model, A bases of an allele."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assets_data.domains.genome.read import ALLELE, EMPTY, KINDS, STEPS
from training.recipes.geno_lewm.config import ModelConfig

FAR = 40
"""Offsets and shifts beyond this many bases are as this one."""


class Actions(nn.Module):
    """An edit as a vector: where it is, what it is, every base it takes out and puts in at its place, how many those
    are, and how far it moves the anchor. The empty symbol tells A, AA and AAA apart.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.offset = nn.Embedding(2 * FAR + 1, width)
        self.shift = nn.Embedding(2 * FAR + 1, width)
        self.kind = nn.Embedding(len(KINDS), width)
        self.deleted = nn.Embedding(ALLELE * (EMPTY + 1), width)
        self.inserted = nn.Embedding(ALLELE * (EMPTY + 1), width)
        self.lengths = nn.Linear(2, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, offset_BK: Tensor, shift_BK: Tensor, kind_BK: Tensor, deleted_BKA: Tensor, inserted_BKA: Tensor
    ) -> Tensor:
        lengths_BK2 = torch.stack([(bases != EMPTY).sum(-1) for bases in (deleted_BKA, inserted_BKA)], -1)
        x_BKH = self.offset(offset_BK.clamp(-FAR, FAR) + FAR) + self.shift(shift_BK.clamp(-FAR, FAR) + FAR)
        x_BKH = x_BKH + self.kind(kind_BK) + self.lengths(lengths_BK2.float().log1p())
        x_BKH = x_BKH + self._bases(self.deleted, deleted_BKA) + self._bases(self.inserted, inserted_BKA)
        return x_BKH + self.mix(x_BKH)

    def _bases(self, embedding: nn.Embedding, bases_BKA: Tensor) -> Tensor:
        """The mean would hide lengths; the sum of what is there, the empty symbol too, does not."""
        places_A = torch.arange(ALLELE, device=bases_BKA.device) * (EMPTY + 1)
        return embedding(bases_BKA + places_A).sum(-2)


class Layer(nn.Module):
    """Self-attention in which an edit sees the state and the edits before it, then a feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTH: Tensor) -> Tensor:
        rows, tokens, width = x_BTH.shape
        qkv = self.qkv(self.before(x_BTH)).view(rows, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTH = x_BTH + self.out(mixed.transpose(1, 2).reshape(rows, tokens, width))
        return x_BTH + self.narrow(F.gelu(self.wide(self.between(x_BTH))))


class Carried(nn.Module):
    """What is known by position as a vector: the change that carrying makes up to each edit and by it, and what lies
    beside the edit. ``part``, at first zero, takes that change straight to the prediction.
    """

    def __init__(self, dims: int, flank: int, width: int) -> None:
        super().__init__()
        self.change = nn.Linear(2 * dims, width)
        self.flank = nn.Sequential(nn.LayerNorm(flank), nn.Linear(flank, width))
        self.part = nn.Linear(dims, dims, bias=False)
        nn.init.zeros_(self.part.weight)

    def forward(self, carried_BKD: Tensor, flank_BKF: Tensor) -> Tensor:
        own_BKD = torch.diff(carried_BKD, dim=1, prepend=torch.zeros_like(carried_BKD[:, :1]))
        return self.change(torch.cat([carried_BKD, own_BKD], -1)) + self.flank(flank_BKF)


class Predictor(nn.Module):
    """State and edits to the change after each edit, in units of sigma: the sum of the edits' own parts so far.

    ``flank`` is the width of what is known beside each edit by position; 0 for pooled states alone. It starts as "no
    change", as the last layer starts at zero. What edit k+1 is changes nothing before it.
    """

    def __init__(self, config: ModelConfig, dims: int, flank: int = 0) -> None:
        super().__init__()
        width = config.d_model
        self.scale = nn.LayerNorm(dims)
        self.state = nn.Linear(dims, width)
        self.actions = Actions(width)
        self.positions = Carried(dims, flank, width) if flank else None
        self.step = nn.Embedding(STEPS + 1, width)
        self.layers = nn.ModuleList(Layer(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, dims)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.adapter = nn.Linear(dims, dims, bias=False) if config.adapter == "linear" else None
        if self.adapter is not None:
            nn.init.eye_(self.adapter.weight)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """float[B, K, D]."""
        names = ("offset", "shift", "kind", "deleted", "inserted")
        state_BH = self.state(self.scale(batch["state"]))
        actions_BKH = self.actions(*(batch[name] for name in names)) + state_BH[:, None]
        if self.positions is not None:
            actions_BKH = actions_BKH + self.positions(batch["carried"], batch["flank"])
        x_BTH = torch.cat([state_BH[:, None], actions_BKH], 1)
        x_BTH = x_BTH + self.step.weight[: x_BTH.shape[1]]
        for layer in self.layers:
            x_BTH = layer(x_BTH)
        change_BKD = self.last(self.norm(x_BTH[:, 1:])).cumsum(1)
        if self.positions is not None:
            change_BKD = change_BKD + self.positions.part(batch["carried"])
        return change_BKD if self.adapter is None else self.adapter(change_BKD)
