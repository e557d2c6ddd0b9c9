"""An optimizer's step on a piece of a tensor, with the bits that a step on the whole would give it.

A fused kernel handles elements in vectors and the last few, which fill none, one by one; the two round differently
where one fuses a product and a sum. So a piece is handed over in up to three: what fills vectors, the elements after it
in a vector filled up with zeros, and those that are one by one in the whole, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

WIDEST = 32
"""No kernel known handles more elements at once."""


def vector_width(optimizer: torch.optim.Optimizer, device: torch.device) -> int:
    """How many elements the kernel of ``optimizer`` handles at once, where that shows in a result; otherwise 1.

    Found by trying: in how long a tensor the first elements come to other bits than alone.
    """
    values = torch.linspace(0.5, 1.5, 64 * WIDEST, dtype=torch.float64).float().view(64, WIDEST).to(device)
    settings = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    alone = _stepped(type(optimizer), settings, [column[:, None] for column in values.unbind(1)])
    width = 1
    while width < WIDEST:
        width *= 2
        together = _stepped(type(optimizer), settings, [values[:, :width]])
        if any(not torch.equal(t, torch.cat([a[i] for a in alone[:width]], 1)) for i, t in enumerate(together[0])):
            return width
    return 1


def _stepped(kind: Any, settings: Mapping[str, Any], tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Of every float[64, n] its rows after three steps, and what the optimizer keeps of them, as float[64, n]."""
    found = []
    for tensor in tensors:
        rows = [nn.Parameter(row.clone()) for row in tensor.unbind()]
        made = kind([{**settings, "params": rows}])
        for turn in range(3):
            for row in rows:
                row.grad = (row.detach() * (1 + turn)).sin()
            made.step()
        kept = [[v for v in made.state[row].values() if isinstance(v, Tensor) and v.dim()] for row in rows]
        found.append([torch.stack(column).detach() for column in zip(rows, *zip(*kept, strict=True), strict=True)])
    return found


class Elements:
    """A piece of a parameter in up to three for the optimizer: ``main`` and ``tail`` are views of it, ``edge`` a copy.

    ``begin`` is where in the whole, of ``total`` elements, the piece begins.
    """

    def __init__(self, piece: nn.Parameter, begin: int, total: int, width: int) -> None:
        self.piece, flat = piece, piece.detach().view(-1)
        full = min(max(total - total % width - begin, 0), len(flat))
        self._cuts = [full - full % width, full % width, len(flat) - full]
        main, edge, tail = flat.split(self._cuts)
        padded = torch.zeros(width if len(edge) else 0, dtype=flat.dtype, device=flat.device)
        self._all = [nn.Parameter(part, piece.requires_grad) for part in (main, padded, tail)]
        self.parts = [part for part in self._all if len(part)]
        """What the optimizer moves."""

    def before(self) -> None:
        """Hand over the gradient of the piece, and the elements at its edge."""
        if self.piece.grad is None:
            return
        for part, given in zip(self._all, self.split(self.piece.grad), strict=True):
            part.grad = given
        if len(self._all[1]):
            self._all[1].data.copy_(self.split(self.piece.detach())[1])

    def after(self) -> None:
        """Take back the elements at the edge, if there was a gradient to move them."""
        moved = self._all[1].grad is not None
        for part in self._all:
            part.grad = None
        if moved and len(self._all[1]):
            self.piece.detach().view(-1).split(self._cuts)[1].copy_(self._all[1].detach()[: self._cuts[1]])

    def split(self, value: Tensor) -> list[Tensor]:
        """A tensor of the piece's shape in three: views, and a copy filled up with zeros."""
        main, edge, tail = value.reshape(-1).split(self._cuts)
        return [main, torch.cat([edge, edge.new_zeros(len(self._all[1]) - len(edge))]), tail]

    def gather_state(self, state: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
        """What an optimizer keeps of the piece, by key, from what it keeps of its parts."""
        kept = [state.get(part, {}) for part in self._all]
        first = next((each for each in kept if each), {})
        return {key: self._joined([each.get(key) for each in kept], value) for key, value in first.items()}

    def spread_state(self, state: dict[Any, dict[str, Any]]) -> None:
        """Make of what ``state`` says of the piece what it says of its parts: the inverse of :meth:`gather_state`."""
        for key, value in state.pop(self.piece, {}).items():
            for index, part in enumerate(self._all):
                if len(part):
                    cut = isinstance(value, Tensor) and value.dim()
                    state[part][key] = self.split(value)[index].clone() if cut else _own(value)

    def _joined(self, values: list[Any], first: Any) -> Any:
        if not isinstance(first, Tensor) or not first.dim():
            return first
        given = [v[:n] for v, n in zip(values, self._cuts, strict=True) if v is not None]
        return torch.cat(given).view(self.piece.shape)


def _own(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
