"""The model as torch's FSDP2 has it: every process keeps its rows of each parameter, and of what the optimizer keeps.

A lane's gradient is summed over processes by a reduce-scatter that adds pair by pair, so process r takes lane r of each
wave of lanes: the sums between processes are the lowest of the tree, and those over waves the rest. Norms and digests
need whole tensors: tensor i is put together in process i mod the number of them, one share of all at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from assets_data.lineage import ConfigError
from training.config import TrainConfig
from training.parallel.elements import Elements, vector_width
from training.parallel.replica import Losses, Passes
from training.parallel.world import World
from training.shards import Place, piece, place, rows_of

FITTING = ("adamw", "adam", "sgd")
"""Optimizers that treat every element by itself; others would see rows and take them for a matrix."""


def refuse_unfit(plan: TrainConfig, model: nn.Module) -> None:
    """Raise ConfigError FSDP_UNFIT for what needs whole tensors, or has not been made to work on pieces."""
    found = [
        *([plan.optimizer.name] if plan.optimizer.name.lower() not in FITTING else []),
        *(["fp16"] if plan.precision == "fp16" else []),
        *(["compile"] if plan.compile else []),
        *(name for name, parameter in model.named_parameters() if not parameter.dim()),
    ]
    if found:
        what = "this cannot be trained with parameters cut over processes"
        action = f"train with ddp, or with one of {FITTING}, in full precision or bf16, uncompiled"
        raise ConfigError("FSDP_UNFIT", what, where="--parallel", found=found, action=action)


class Sharded:
    """``model`` cut over the processes of ``world``; it keeps its names and modules.

    ``parameters`` are this process's rows by name, plain tensors that share their memory with torch's. A model may
    offer ``shard_units()``: modules that a pass calls exactly once; their parameters are whole only while they run.
    Those of all others are whole from the beginning of a forward pass to the end of its backward pass.
    """

    def __init__(self, model: nn.Module, world: World, device: torch.device) -> None:
        self.world, self.model = world, model
        self.shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
        mesh = init_device_mesh(device.type, (world.size,))
        self._passes = Passes(model, _not_bound)
        units = getattr(model, "shard_units", list)
        for module in (*units(), self._passes):
            fully_shard(module, mesh=mesh)
        for module in self._passes.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
                module.set_custom_reduce_scatter(cast(Any, _PairByPair(world)))
        cast(FSDPModule, self._passes).set_reduce_scatter_unused_params(True)  # another process's pass may reach them
        self._reached: set[str] = set()
        self._note_what_is_reached()
        self._cut: dict[str, Any] = dict(model.named_parameters())
        self.parameters = {n: nn.Parameter(p.to_local().detach(), p.requires_grad) for n, p in self._cut.items()}
        self._elements: dict[int, Elements] = {}
        self._own = {id(self._cut[name]): parameter for name, parameter in self.parameters.items()}

    def _note_what_is_reached(self) -> None:
        """Have every parameter, as passes have it, say so when a backward pass came to it."""
        units = [module for module in self._passes.modules() if isinstance(module, FSDPModule)]
        for unit in units:
            unit.unshard()
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(lambda _, name=name: self._reached.add(name))
        for unit in units:
            unit.reshard()

    def bind(self, losses: Losses) -> None:
        """Say what a pass computes."""
        self._passes.losses = losses

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses of a batch, to be differentiated once."""
        return self._passes(batch)

    def take_over(self, optimizer: torch.optim.Optimizer) -> None:
        """Have an optimizer of the model, fresh, move this process's rows: each element is moved by itself."""
        width = vector_width(optimizer, next(iter(self.parameters.values())).device)
        for name, own in self.parameters.items():
            begin = place(self.shapes[name], self.world.rank, self.world.size)["offset"][0]
            row = torch.Size(self.shapes[name][1:]).numel()
            self._elements[id(self._cut[name])] = Elements(own, begin * row, row * self.shapes[name][0], width)
        for group in optimizer.param_groups:
            group["params"] = [part for p in group["params"] for part in self._elements[id(p)].parts]

    @contextlib.contextmanager
    def stepping(self) -> Iterator[None]:
        """Around a step of the optimizer that was taken over."""
        for elements in self._elements.values():
            elements.before()
        yield
        for elements in self._elements.values():
            elements.after()

    def gather_state(self, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
        """What the optimizer keeps of this process's rows, by parameter."""
        return {name: self._elements[id(p)].gather_state(optimizer.state) for name, p in self._cut.items()}

    def spread_state(self, optimizer: torch.optim.Optimizer) -> None:
        """Hand over to the optimizer what was put back for whole pieces."""
        for elements in self._elements.values():
            elements.spread_state(optimizer.state)

    def state(self) -> dict[str, Tensor]:
        """The model's state by name: of parameters this process's rows, everything else whole."""
        held: dict[str, Tensor] = self.model.state_dict(keep_vars=True)
        return {name: self._own.get(id(value), value) for name, value in held.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a whole model's tensors. Raises RuntimeError for those of another shape."""
        here = self.state()
        for name, shape in self.shapes.items():
            if name not in tensors or tuple(tensors[name].shape) != shape:
                found = tuple(tensors[name].shape) if name in tensors else "nothing"
                raise RuntimeError(f"{name}: {shape} expected, {found} found")
            with torch.no_grad():
                here[name].copy_(piece(tensors[name], self.world.rank, self.world.size))
        rest = {name: value for name, value in tensors.items() if name not in self.shapes}
        odd = self.model.load_state_dict(rest, strict=False)
        if missing := sorted({*odd.unexpected_keys, *odd.missing_keys} - {*self.shapes}):
            raise RuntimeError(f"only in one of model and file: {missing}")

    def whole(self) -> dict[str, Tensor]:
        """On rank 0 the whole model's state, elsewhere nothing. Every process must ask."""
        held, size = self.state(), self.world.size
        cut = {name: value for name, value in held.items() if name in self.shapes}
        device = next(iter(self.parameters.values())).device
        sent = [_bytes(list(cut.values()), device), *[_bytes([], device)] * (size - 1)]
        lengths = [[_rows_bytes(v, self.shapes[n], source, size) for n, v in cut.items()] for source in range(size)]
        received = self.world.exchange(sent, [sum(each) if self.world.leads else 0 for each in lengths])
        if not self.world.leads:
            return {}
        parts = [part.split(each) for part, each in zip(received, lengths, strict=True)]
        whole = {name: self._joined(name, value, [p[i] for p in parts]) for i, (name, value) in enumerate(cut.items())}
        return held | whole

    def clear(self) -> None:
        """Forget every gradient."""
        self._reached.clear()
        for parameter in (*self._cut.values(), *self.parameters.values()):
            parameter.grad = None

    def reached(self) -> Tensor:
        """float64, in the order of parameters: 1 where this process's passes since :meth:`clear` had a gradient."""
        device = next(iter(self.parameters.values())).device
        return torch.tensor([name in self._reached for name in self._cut], dtype=torch.float64, device=device)

    def gradients(self, reached: Sequence[bool]) -> list[Tensor | None]:
        """This process's rows of the gradients since :meth:`clear`, summed over processes, in the order of parameters:
        of those that were ``reached`` in any of them.
        """
        return [p.grad.to_local() if known else None for p, known in zip(self._cut.values(), reached, strict=True)]

    @contextlib.contextmanager
    def summing(self, now: bool) -> Iterator[None]:
        """Around forward and backward pass: whether what the process has gathered is summed over all of them."""
        root: Any = self._passes
        root.set_requires_gradient_sync(now)
        yield

    def grad_norm(self) -> Tensor:
        """The norm of the whole gradient, as one process that had all of it would compute it: norms of whole tensors,
        then the norm of these, in the order of parameters.
        """
        given = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        whole = self.deal(given)
        device = next(iter(self.parameters.values())).device
        norms = torch.zeros(len(given), device=device)
        if whole:
            own = [index for index, name in enumerate(given) if name in whole]
            norms[own] = torch.stack(torch._foreach_norm(list(whole.values())))  # type: ignore[attr-defined]
        return torch.linalg.vector_norm(self.world.sum([norms])[0])

    def deal(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors of this process's share: number i of ``pieces`` goes to process i mod their number."""
        size, rank = self.world.size, self.world.rank
        names = list(pieces)
        device = next(iter(self.parameters.values())).device
        sent = [_bytes([pieces[name] for name in names[to::size]], device) for to in range(size)]
        mine = names[rank::size]
        lengths = [[_rows_bytes(pieces[n], self.shapes[n], source, size) for n in mine] for source in range(size)]
        received = self.world.exchange(sent, [sum(each) for each in lengths])
        parts = [whole.split(each) for whole, each in zip(received, lengths, strict=True)]
        return {name: self._joined(name, pieces[name], [part[i] for part in parts]) for i, name in enumerate(mine)}

    def cut(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of whole tensors, by a parameter's name or by ``name/key`` for what an optimizer keeps of it, the rows that
        this process has; what is cut nowhere stays whole.
        """
        return {name: self._rows(name, value) for name, value in tensors.items()}

    def places(self, tensors: Mapping[str, Tensor]) -> dict[str, Place]:
        """What a checkpoint says of this process's pieces, and of whole tensors among them."""
        here = (self.world.rank, self.world.size)
        return {n: place(self._shape(n, v), *here) if self._is_cut(n, v) else _whole(v) for n, v in tensors.items()}

    def kept(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those that this process writes: its pieces that have a row, and on rank 0 what lies whole in each process."""
        leads = self.world.leads
        return {n: v for n, v in tensors.items() if (v.numel() if self._is_cut(n, v) and not leads else leads)}

    def _joined(self, name: str, like: Tensor, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts)).view(like.dtype).view(self.shapes[name])

    def _rows(self, name: str, value: Tensor) -> Tensor:
        owner = name.partition("/")[0]
        if value.dim() and tuple(value.shape) == self.shapes.get(owner):
            return piece(value, self.world.rank, self.world.size)
        return value

    def _is_cut(self, name: str, value: Tensor) -> bool:
        shape = self.shapes.get(name.partition("/")[0])
        return shape is not None and bool(value.dim()) and tuple(value.shape[1:]) == shape[1:]

    def _shape(self, name: str, value: Tensor) -> Sequence[int]:
        return self.shapes[name.partition("/")[0]]


class _PairByPair:
    """A reduce-scatter by recursive halving, nearest process first: of four, (a + b) + (c + d) in every one."""

    def __init__(self, world: World) -> None:
        self._world = world

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, op: Any, async_op: bool = False
    ) -> None:
        rank, size = self._world.rank, self._world.size
        chunks = dict(enumerate(input_tensor.view(size, -1).unbind()))
        bit = 1
        while bit < size:
            theirs = [index for index in chunks if (index ^ rank) & bit]
            mine = [index for index in chunks if not (index ^ rank) & bit]
            got = self._world.swap(rank ^ bit, torch.cat([chunks[index] for index in theirs]))
            chunks = {i: chunks[i] + part for i, part in zip(mine, got.chunk(len(mine)), strict=True)}
            bit *= 2
        output_tensor.copy_(chunks[rank])


def _not_bound(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    raise NotImplementedError


def _whole(value: Tensor) -> Place:
    return {"shape": list(value.shape), "offset": [0] * value.dim()}


def _bytes(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    parts = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in tensors]
    return torch.cat([torch.empty(0, dtype=torch.uint8, device=device), *parts])


def _rows_bytes(own: Tensor, shape: Sequence[int], rank: int, size: int) -> int:
    rows = rows_of(shape[0], rank, size)
    return len(rows) * own.element_size() * torch.Size(shape[1:]).numel()
