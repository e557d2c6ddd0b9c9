"""Parts that both models have. Shapes: B batch, T time, D observation, A action, C classes, K bins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL = 1024
"""Observations of at most so many numbers are a vector; larger uint8 ones of three dimensions are images."""


class Mlp(nn.Sequential):
    """Hidden layers with LayerNorm and SiLU; without ``out`` it ends in the last of them."""

    def __init__(self, width: int, hidden: Sequence[int], out: int | None = None, act: type[nn.Module] = nn.SiLU):
        sizes = [width, *hidden]
        layers = [nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), act()) for a, b in itertools.pairwise(sizes)]
        super().__init__(*layers, *([nn.Linear(sizes[-1], out)] if out is not None else []))


class SimNorm(nn.Module):
    """Softmax in groups of 8 (Lavoie et al. 2023, as in TD-MPC2): the latent cannot grow."""

    def forward(self, z_BL: Tensor) -> Tensor:
        return F.softmax(z_BL.unflatten(-1, (-1, 8)), dim=-1).flatten(-2)


class Scaling(nn.Module):
    """Between what was recorded and what networks see: pinned moments, the action space's bounds. No parameters."""

    obs_mean: Tensor
    obs_deviation: Tensor
    reward_mean: Tensor
    reward_deviation: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        obs, action, moments = inputs["obs_space"], inputs["action_space"], inputs["moments"]
        self.image = is_image(obs)
        self.obs_shape = tuple(obs["shape"])
        self.obs_size = math.prod(self.obs_shape)
        self.discrete = action["kind"] == "discrete"
        self.first = action.get("start", 0)
        self.action_size = action["n"] if self.discrete else math.prod(action["shape"])
        fixed = {"mean": [127.5], "deviation": [127.5]}
        self._keep("obs_mean", (moments["obs"] or fixed)["mean"])
        self._keep("obs_deviation", (moments["obs"] or fixed)["deviation"])
        self._keep("reward_mean", moments["reward"]["mean"])
        self._keep("reward_deviation", moments["reward"]["deviation"])
        low, high = ([-1.0], [1.0]) if self.discrete else (action["low"], action["high"])
        self._keep("low", low)
        self._keep("high", high)

    def obs(self, obs: Tensor) -> Tensor:
        """[..., *O] as recorded -> float [..., D], normalised; images stay [..., H, W, C]."""
        flat = obs.flatten(obs.dim() - len(self.obs_shape)) if self.obs_shape else obs[..., None]
        scaled = (flat.float() - self.obs_mean) / self.obs_deviation
        return scaled.unflatten(-1, self.obs_shape) if self.image else scaled

    def action(self, action: Tensor) -> Tensor:
        """[..., *A] as recorded -> float [..., A]: in [-1, 1], or one-hot."""
        if self.discrete:
            return F.one_hot((action.long() - self.first).clamp_min(0), self.action_size).float()
        flat = action.float().reshape(*action.shape[: action.dim() - self._action_dims()], -1)
        return 2 * (flat - self.low.flatten()) / (self.high - self.low).flatten() - 1

    def to_action(self, scaled_NA: Tensor) -> Tensor:
        """float [N, A] in [-1, 1] -> float [N, A] in the space's units; of one-hot, int64 [N]."""
        if self.discrete:
            return scaled_NA.argmax(-1) + self.first
        low, high = self.low.flatten(), self.high.flatten()
        return low + (scaled_NA.clamp(-1, 1) + 1) / 2 * (high - low)

    def reward(self, reward: Tensor) -> Tensor:
        """As earned -> normalised."""
        return (reward - self.reward_mean) / self.reward_deviation

    def to_reward(self, scaled: Tensor) -> Tensor:
        """Normalised -> as earned."""
        return scaled * self.reward_deviation + self.reward_mean

    def _action_dims(self) -> int:
        return self.low.dim()

    def _keep(self, name: str, value: Any) -> None:
        self.register_buffer(name, torch.tensor(value, dtype=torch.float32, device="cpu"), persistent=False)


def is_image(obs: Mapping[str, Any]) -> bool:
    """Whether observations are seen through convolutions."""
    return obs["dtype"] == "uint8" and len(obs["shape"]) == 3 and math.prod(obs["shape"]) > SMALL


def build_encoder(scaling: Scaling, hidden: Sequence[int], out: int, depth: int, frames: int = 1) -> nn.Module:
    """Normalised observations, ``frames`` of them side by side -> [N, out]."""
    if not scaling.image:
        return Mlp(scaling.obs_size * frames, hidden, out)
    height, width, channels = scaling.obs_shape
    sizes = conv_sizes(height, width)
    depths = [channels * frames, *(depth * 2**i for i in range(len(sizes) - 1))]
    convs = [nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.SiLU()) for a, b in itertools.pairwise(depths)]
    return nn.Sequential(ChannelsFirst(), *convs, nn.Flatten(), nn.Linear(depths[-1] * math.prod(sizes[-1]), out))


def build_decoder(scaling: Scaling, width: int, hidden: Sequence[int], depth: int) -> nn.Module:
    """[N, width] -> normalised observations."""
    if not scaling.image:
        return Mlp(width, hidden, scaling.obs_size)
    height, width_, channels = scaling.obs_shape
    sizes = conv_sizes(height, width_)
    depths = [*(depth * 2**i for i in reversed(range(len(sizes) - 1))), channels]
    layers: list[nn.Module] = [
        nn.Linear(width, depths[0] * math.prod(sizes[-1])),
        nn.Unflatten(-1, (depths[0], *sizes[-1])),
    ]
    for i, (a, b) in enumerate(itertools.pairwise(depths)):
        wanted, had = sizes[-2 - i], sizes[-1 - i]
        odd = (wanted[0] - 2 * had[0], wanted[1] - 2 * had[1])
        layers += [nn.SiLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, output_padding=odd)]
    return nn.Sequential(*layers, ChannelsLast())


def conv_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """The image's size before and after each 4x4 stride-2 convolution, down to 4."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


class ChannelsFirst(nn.Module):
    """[N, H, W, C] -> [N, C, H, W]."""

    def forward(self, image: Tensor) -> Tensor:
        return image.movedim(-1, -3)


class ChannelsLast(nn.Module):
    """[N, C, H, W] -> [N, H, W, C]."""

    def forward(self, image: Tensor) -> Tensor:
        return image.movedim(-3, -1)


def masked_mean(value_BT: Tensor, mask_BT: Tensor, items: Tensor | None = None) -> Tensor:
    """The sum where ``mask`` is true over the number of ``items`` (of those places, where not given)."""
    count = mask_BT.sum() if items is None else items
    return torch.where(mask_BT, value_BT, 0.0).sum() / count.clamp_min(1)


def symlog(value: Tensor) -> Tensor:
    """sign(x) log(1 + |x|)."""
    return value.sign() * value.abs().log1p()


def symexp(value: Tensor) -> Tensor:
    """The inverse of :func:`symlog`."""
    return value.sign() * value.abs().expm1()


def two_hot(value: Tensor, bins: int, bound: float) -> Tensor:
    """[..., K]: the symlog of ``value`` between its two neighbouring bins of [-bound, bound]."""
    place = (symlog(value).clamp(-bound, bound) + bound) / (2 * bound) * (bins - 1)
    low = place.floor().clamp(0, bins - 2)
    share = (place - low)[..., None]
    return (1 - share) * F.one_hot(low.long(), bins) + share * F.one_hot(low.long() + 1, bins)


def from_two_hot(logits: Tensor, bound: float) -> Tensor:
    """[...]: the expected value of a distribution over bins, back from symlog."""
    centres = torch.linspace(-bound, bound, logits.shape[-1], device=logits.device)
    return symexp((logits.softmax(-1) * centres).sum(-1))
