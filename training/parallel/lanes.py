"""The gradient of an update as a sum over lanes, pair by pair: in a process first, then between processes.

With lanes a, b, c, d the sum is (a + b) + (c + d), whichever process has which. Every lane draws its random numbers
from generators seeded by (update, lane), and is weighted by the items its losses are means of; what divides the sum is
known only once all were counted, so it comes last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from assets_data.lineage import ConfigError
from training.config import derived_seed
from training.feed import Batch
from training.generators import seed_generators
from training.parallel.world import World, heard_in_passes

if TYPE_CHECKING:
    from training.parallel.replica import Replica
    from training.parallel.sharded import Sharded
    from training.run import Run


@dataclass(slots=True)
class Share:
    """What one or several lanes add up to. ``gradients`` has one per parameter, None where no loss reached it;
    ``numbers`` are float64 on the device: the items per row of a lane, then the losses of those ``names``.
    """

    gradients: list[Tensor | None]
    numbers: Tensor
    names: list[str]


def lanes_gradient(run: Run, update: int, own: Mapping[int, Sequence[Batch]]) -> dict[str, Tensor]:
    """The losses of an update, of which this process has its ``own`` lanes' micro-batches, and their gradient, left in
    the parameters: in every process the same bits.

    Raises ConfigError LANES_STATE for a model whose passes change more than gradients.
    """
    before = None if run.profile.updates else _unlearned(run.model)
    if run.sharded:
        share = pairwise(_wave(run, run.sharded, update, lane, given) for lane, given in own.items())
    elif run.replica is None:
        share = pairwise(_lane(run, update, lane, given) for lane, given in own.items())
        share = over_processes(run.world, run.parameters, share)
    else:
        share = _bucketed(run, update, own)
    if before is not None:
        _refuse_moved(before, _unlearned(run.model))
    _seed(run, update, run.plan.lanes)  # whatever the optimizer draws is the same everywhere, too
    items, losses = share.numbers[0], share.numbers[1:] / share.numbers[0]
    for parameter, gradient in zip(run.parameters, share.gradients, strict=True):
        parameter.grad = None if gradient is None else gradient.div_(items.to(gradient.dtype))
    return dict(zip(share.names, losses.float().unbind(), strict=True))


def pairwise(shares: Iterable[Share]) -> Share:
    """The sum of a power of two of shares by a balanced tree; as many lie in memory as the tree is high, and one."""
    waiting: list[tuple[int, Share]] = []
    for share in shares:
        height = 0
        while waiting and waiting[-1][0] == height:
            share, height = _add(waiting.pop()[1], share), height + 1
        waiting.append((height, share))
    [(_, whole)] = waiting
    return whole


def over_processes(world: World, parameters: Sequence[nn.Parameter], share: Share) -> Share:
    """The sum of every process's share. A gradient that is missing in all of them stays missing."""
    if world.size == 1:
        return share
    has = torch.tensor([gradient is not None for gradient in share.gradients], device=share.numbers.device)
    # -0.0 is what changes no bit of anything it is added to
    filled = [torch.full_like(p, -0.0) if g is None else g for p, g in zip(parameters, share.gradients, strict=True)]
    kinds = list(dict.fromkeys(gradient.dtype for gradient in filled))
    flat = [torch.cat([g.reshape(-1) for g in filled if g.dtype == kind]) for kind in kinds]
    numbers, *summed = world.sum([torch.cat([share.numbers, has.double()]), *flat])
    sizes = [[g.numel() for g in filled if g.dtype == kind] for kind in kinds]
    parts = {kind: iter(whole.split(size)) for kind, whole, size in zip(kinds, summed, sizes, strict=True)}
    torch._foreach_copy_(filled, [next(parts[g.dtype]).view(g.shape) for g in filled])  # type: ignore[attr-defined] - laid out as one process has it
    reached = (numbers[len(share.numbers) :] > 0).tolist()
    gradients = [gradient if known else None for gradient, known in zip(filled, reached, strict=True)]
    return Share(gradients, numbers[: len(share.numbers)], share.names)


def _bucketed(run: Run, update: int, own: Mapping[int, Sequence[Batch]]) -> Share:
    """All lanes, summed as DDP does: one after the other in a process, by buckets between them."""
    for parameter in run.parameters:
        parameter.grad = None
    numbers, names = torch.zeros(1), []
    for lane, given in own.items():
        share = _passes(run, update, lane, given, last=lane == max(own))
        numbers, names = numbers.to(share.numbers.device) + share.numbers, share.names
    for parameter in run.parameters:
        if parameter.grad is not None:
            parameter.grad *= run.world.size  # DDP takes the mean, which a power of two turns back without rounding
    return Share([parameter.grad for parameter in run.parameters], run.world.sum([numbers])[0], names)


def _wave(run: Run, sharded: Sharded, update: int, lane: int, batches: Sequence[Batch]) -> Share:
    """This process's lane of a wave, and those of all others: the backward pass sums gradients over processes."""
    sharded.clear()
    share = _passes(run, update, lane, batches, last=True)
    [numbers] = run.world.sum([torch.cat([share.numbers, sharded.reached()])])
    reached = (numbers[len(share.numbers) :] > 0).tolist()
    return Share(sharded.gradients(reached), numbers[: len(share.numbers)], share.names)


def _lane(run: Run, update: int, lane: int, batches: Sequence[Batch]) -> Share:
    for parameter in run.parameters:
        parameter.grad = None
    return _passes(run, update, lane, batches)


def _passes(run: Run, update: int, lane: int, batches: Sequence[Batch], last: bool = False) -> Share:
    """One lane's micro-batches, on top of the gradients that are there.

    After the ``last`` lane of a process its replica sums over all processes; one that is sharded, after every lane.
    """
    _seed(run, update, lane)
    items, sums, rows = 0.0, {}, run.plan.batch_rows // run.plan.lanes
    for index, (batch, count) in enumerate(batches):
        weight = count / rows
        whole = run.sharded or run.replica
        with _together(whole, last and index + 1 == len(batches)) if whole else contextlib.nullcontext():
            losses = whole.losses(batch) if whole else run.losses(batch)
            if count or has_pass(losses["loss"]):
                run.precision.backward(losses["loss"] * weight)
            elif whole:
                raise _refused_pass()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + weighed(value.double(), weight)
        items += weight
    numbers = torch.stack([torch.tensor(items, dtype=torch.float64, device=run.device), *sums.values()])
    return Share([parameter.grad for parameter in run.parameters], numbers, list(sums))


@contextlib.contextmanager
def _together(whole: Sharded | Replica, summing: bool) -> Iterator[None]:
    with heard_in_passes(), whole.summing(summing):
        yield


def has_pass(loss: Tensor) -> bool:
    """Whether the loss of no item has a backward pass, which adds zeros: the mean over none may be no number."""
    return loss.requires_grad and bool(torch.isfinite(loss))


def weighed(value: Tensor, weight: float) -> Tensor:
    """A loss by its weight, without its graph; that of no item is 0, whatever the mean over none is."""
    return value.detach() * weight if weight else torch.zeros_like(value)


def _refused_pass() -> ConfigError:
    what = "a micro-batch has no item, its loss is no number of the model's, and its pass cannot be left out here"
    action = "sum exactly with ddp, give lanes more rows, or let the recipe's loss of no item be a sum, which is 0"
    return ConfigError("LANES_EMPTY", what, where="train.lanes", action=action)


def _add(one: Share, other: Share) -> Share:
    pairs = list(zip(one.gradients, other.gradients, strict=True))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if both:
        torch._foreach_add_([a for a, _ in both], [b for _, b in both])  # type: ignore[attr-defined]
    return Share([b if a is None else a for a, b in pairs], one.numbers + other.numbers, one.names)


def _seed(run: Run, update: int, lane: int) -> None:
    seed_generators(derived_seed(run.plan.seed, f"train/{update}/{lane}"))


def _unlearned(model: nn.Module) -> dict[str, Any]:
    """Copies of all that a model holds besides parameters."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    held = {**dict(model.named_buffers()), **model.state_dict()}
    kept = {name: value for name, value in held.items() if name not in parameters}
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in kept.items()}


def _refuse_moved(before: dict[str, Any], after: dict[str, Any]) -> None:
    moved = [name for name, value in before.items() if not _equal(value, after[name])]
    if moved:
        what = "the model changes its own state in a pass, so its bits would depend on which process has which lane"
        action = "train it with lanes 1, or move that state in the recipe's after_step"
        raise ConfigError("LANES_STATE", what, where="train.lanes", found=moved, action=action)


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other
