"""A latent model with values and a policy, learned offline (TD-MPC2, Hansen et al. 2024).

z = SimNorm(MLP(o)), z' = SimNorm(MLP[z, a]); rewards and values are two-hot in symlog. The latent is trained by what it
predicts, not by reconstruction; a detached decoder reads observations from it. Shapes: B sequences, T rows, S segments
of a sequence, N = B * S, L latent, A action, Q critics, K bins.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from training.recipes.world_model.config import TdmpcConfig
from training.recipes.world_model.layers import (
    Mlp,
    Scaling,
    SimNorm,
    build_decoder,
    build_encoder,
    from_two_hot,
    masked_mean,
    two_hot,
)

LOG_DEVIATION = (-10.0, 2.0)
LOSS_WEIGHTS = {
    "consistency_loss": 20.0,
    "reward_loss": 0.1,
    "value_loss": 0.1,
    "termination_loss": 1.0,
    "policy_loss": 1.0,
    "readout_loss": 1.0,
}


class Segments(NamedTuple):
    """N runs of ``horizon`` transitions: normalised actions [N, H, A], rewards and whether the environment ended the
    episode there [N, H], which transitions exist [N, H], latents of every row [N, H + 1, L], draws [N, H + 1, 2A + 1].
    """

    action: Tensor
    reward: Tensor
    ended: Tensor
    live: Tensor
    latent: Tensor
    draws: Tensor


class Tdmpc(nn.Module):
    """Encoder, dynamics, reward, critics with their targets, policy, termination head, and a detached decoder."""

    q_scale: Tensor

    def __init__(self, config: TdmpcConfig, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        self.config, self.scaling = config, Scaling(inputs)
        latent, hidden, action = config.latent, [config.hidden] * 2, self.scaling.action_size
        layers = [config.encoder] * config.encoder_layers
        self.encoder = build_encoder(self.scaling, layers, latent, config.depth, config.history)
        self.norm = SimNorm()
        self.dynamics = Mlp(latent + action, hidden, latent)
        self.reward = Mlp(latent + action, hidden, config.bins)
        self.critics = nn.ModuleList(Mlp(latent + action, hidden, config.bins) for _ in range(config.critics))
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self.policy = Mlp(latent, hidden, action if self.scaling.discrete else 2 * action)
        self.termination = Mlp(latent, [config.hidden], 1)
        self.decoder = build_decoder(self.scaling, latent, [config.hidden], config.depth)
        self.register_buffer("q_scale", torch.ones(()))
        self.discount = discount_of(inputs["moments"]["mean_length"])
        self._last_range: Tensor | None = None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The encoder at its own rate, all else at the run's."""
        slow = list(self.encoder.parameters())
        known = set(map(id, slow))
        others = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        return [{"params": slow, "rate": self.config.encoder_rate}, {"params": others}]

    @torch.no_grad()
    def after_step(self) -> None:
        """Targets follow the critics, and the policy's scale the range of values in the last batch."""
        rate = self.config.target_rate
        for target, source in zip(self.targets.parameters(), self.critics.parameters(), strict=True):
            target.lerp_(source, rate)
        if self._last_range is not None:
            self.q_scale.lerp_(self._last_range.clamp_min(1.0), rate)

    def encode(self, obs: Tensor) -> Tensor:
        """[B, T, *O] as recorded -> [B, T, L]: each row with the ``history - 1`` before it (the first one repeated)."""
        scaled = self.scaling.obs(obs)
        back = torch.arange(obs.shape[1], device=obs.device)[:, None] - torch.arange(
            self.config.history - 1, -1, -1, device=obs.device
        )
        frames = scaled[:, back.clamp_min(0)]
        seen = frames.movedim(2, -2).flatten(-2) if self.scaling.image else frames.flatten(2)
        return self.norm(self.encoder(seen.flatten(0, 1))).unflatten(0, obs.shape[:2])

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over the transitions that exist; step t of a segment weighs ``decay**t``."""
        latent_BTL = self.encode(batch["obs"])
        parts = self._unrolled(self._segments(batch, latent_BTL))
        said = self.decoder(latent_BTL.detach().flatten(0, 1)).unflatten(0, batch["mask"].shape)
        errors_BT = 0.5 * (said - self.scaling.obs(batch["obs"])).square().flatten(2).sum(-1)
        parts["readout_loss"] = masked_mean(errors_BT, batch["mask"])
        return {"loss": sum(LOSS_WEIGHTS[name] * part for name, part in parts.items()), **parts}  # type: ignore[dict-item]

    def infer(self, obs: Tensor, action: Tensor, valid_NK: Tensor) -> Tensor:
        """[N, L]: the latent of the newest row; rows before the first valid one repeat it already."""
        return self.encode(obs[:, -self.config.history :])[:, -1]

    def step(self, latent_NL: Tensor, action_NA: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(latent, reward, continue probability)`` after a normalised action."""
        pair = torch.cat([latent_NL, action_NA], -1)
        after_NL = self.norm(self.dynamics(pair))
        reward_N = from_two_hot(self.reward(pair), self.config.bound)
        return after_NL, reward_N, 1.0 - self.termination(after_NL).squeeze(-1).sigmoid()

    def decode(self, latent_NL: Tensor) -> Tensor:
        """Normalised observations read from latents."""
        return self.decoder(latent_NL)

    def value(self, latent_NL: Tensor) -> Tensor:
        """[N]: the mean of the critics under the policy's most likely action."""
        action_NA = self.policy_action(latent_NL, None)
        pair = torch.cat([latent_NL, action_NA], -1)
        return torch.stack([from_two_hot(critic(pair), self.config.bound) for critic in self.critics]).mean(0)

    def policy_action(self, latent_NL: Tensor, draws_NA: Tensor | None) -> Tensor:
        """[N, A]: sampled by uniforms, or the most likely one."""
        said = self.policy(latent_NL)
        if self.scaling.discrete:
            if draws_NA is None:
                return F.one_hot(said.argmax(-1), said.shape[-1]).float()
            index = (said.softmax(-1).cumsum(-1) <= draws_NA[..., :1]).sum(-1).clamp_max(said.shape[-1] - 1)
            return F.one_hot(index, said.shape[-1]).float()
        mean, deviation = _gaussian(said)
        return mean.tanh() if draws_NA is None else (mean + deviation * _normal(draws_NA)).tanh()

    def td_target(self, latent_NL: Tensor, reward_N: Tensor, ended_N: Tensor, draws_ND: Tensor) -> Tensor:
        """[N]: reward + discount * (1 - ended) * the lesser of two target critics, which the last draw chooses."""
        width = (draws_ND.shape[-1] - 1) // 2
        pair = torch.cat([latent_NL, self.policy_action(latent_NL, draws_ND[..., :width])], -1)
        values_QN = torch.stack([from_two_hot(target(pair), self.config.bound) for target in self.targets])
        count = self.config.critics
        chosen = (draws_ND[..., -1] * count * (count - 1)).long()
        first, second = chosen // (count - 1), chosen % (count - 1)
        second = second + (second >= first)
        least = torch.minimum(values_QN.gather(0, first[None]), values_QN.gather(0, second[None]))[0]
        return reward_N + self.discount * (1.0 - ended_N.float()) * least

    def inner_states(self, batch: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """One predicted step against what was then encoded, of every transition that exists."""
        latent_BTL = self.encode(batch["obs"])
        pair = torch.cat([latent_BTL[:, :-1], self.scaling.action(batch["action"][:, :-1])], -1)
        live = batch["mask"][:, 1:]
        return {"latent": (self.norm(self.dynamics(pair))[live], latent_BTL[:, 1:][live])}

    def _segments(self, batch: Mapping[str, Tensor], latent_BTL: Tensor) -> Segments:
        """A sequence cut into runs of ``horizon`` transitions that share their edges' rows with nobody."""
        horizon = self.config.horizon
        count = latent_BTL.shape[1] // (horizon + 1)
        at_SH = torch.arange(count, device=latent_BTL.device)[:, None] * (horizon + 1) + torch.arange(horizon + 1).to(
            latent_BTL.device
        )

        def cut(value: Tensor) -> Tensor:
            return value[:, at_SH].flatten(0, 1)

        action, reward = cut(self.scaling.action(batch["action"])), cut(batch["reward"])
        ended, mask = cut(batch["terminated"]), cut(batch["mask"])
        return Segments(action[:, :-1], reward[:, :-1], ended[:, 1:], mask[:, 1:], cut(latent_BTL), cut(batch["draws"]))

    def _unrolled(self, seen: Segments) -> dict[str, Tensor]:
        names = ("consistency_loss", "reward_loss", "value_loss", "termination_loss", "policy_loss")
        total = {name: seen.reward.new_zeros(()) for name in names}
        latent_NL, weights = seen.latent[:, 0], 0.0
        for step in range(self.config.horizon):
            weight, live_N = self.config.decay**step, seen.live[:, step]
            pair, after_NL = torch.cat([latent_NL, seen.action[:, step]], -1), seen.latent[:, step + 1].detach()
            reward_N, ended_N, draws_ND = seen.reward[:, step], seen.ended[:, step], seen.draws[:, step]
            with torch.no_grad():
                target_N = self.td_target(after_NL, reward_N, ended_N, seen.draws[:, step + 1])
            found = {
                "reward_loss": self._bins_loss(self.reward(pair), reward_N),
                "value_loss": sum(self._bins_loss(critic(pair), target_N) for critic in self.critics),
                "policy_loss": self._policy_loss(latent_NL.detach(), draws_ND, live_N),
            }
            latent_NL = self.norm(self.dynamics(pair))
            found["consistency_loss"] = (latent_NL - after_NL).square().mean(-1)
            found["termination_loss"] = F.binary_cross_entropy_with_logits(
                self.termination(latent_NL).squeeze(-1), ended_N.float(), reduction="none"
            )
            for name, value_N in found.items():
                total[name] = total[name] + weight * masked_mean(value_N, live_N)
            weights += weight
        total["value_loss"] = total["value_loss"] / self.config.critics
        return {name: value / weights for name, value in total.items()}

    def _bins_loss(self, logits: Tensor, value: Tensor) -> Tensor:
        hot = two_hot(value, self.config.bins, self.config.bound)
        return -(hot * logits.log_softmax(-1)).sum(-1)

    def _policy_loss(self, latent_NL: Tensor, draws_ND: Tensor, live_N: Tensor) -> Tensor:
        """-(Q / scale + entropy), gradients to the policy alone: the critics' parameters are detached."""
        said, width = self.policy(latent_NL), (draws_ND.shape[-1] - 1) // 2
        if self.scaling.discrete:
            share = said.softmax(-1)
            eye = torch.eye(share.shape[-1], device=share.device).expand(*share.shape[:-1], -1, -1)
            every = torch.cat([latent_NL[..., None, :].expand(*eye.shape[:-1], -1), eye], -1)
            value_N = (share * self._frozen_value(every)).sum(-1)
            entropy_N = -(share * said.log_softmax(-1)).sum(-1)
        else:
            mean, deviation = _gaussian(said)
            noise = _normal(draws_ND[..., width : 2 * width])
            action = (mean + deviation * noise).tanh()
            value_N = self._frozen_value(torch.cat([latent_NL, action], -1))
            squash = (1 - action.square() + 1e-6).log()
            entropy_N = (deviation.log() + 0.5 * noise.square() + squash).sum(-1)
        self._observe_range(value_N.detach(), live_N)
        return -(value_N / self.q_scale + self.config.entropy * entropy_N)

    def _frozen_value(self, pair: Tensor) -> Tensor:
        values = []
        for critic in self.critics:
            frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
            values.append(from_two_hot(functional_call(critic, frozen, (pair,)), self.config.bound))
        return torch.stack(values).mean(0)

    def _observe_range(self, value_N: Tensor, live_N: Tensor) -> None:
        """The span between the 5th and 95th percentile, kept for :meth:`after_step`; no gradient, no buffer."""
        if self.training and live_N.any():
            low, high = torch.quantile(value_N[live_N].float(), torch.tensor([0.05, 0.95], device=value_N.device))
            self._last_range = high - low


def discount_of(mean_length: float) -> float:
    """clip((L/5 - 1) / (L/5), .95, .995) of the mean episode length, as TD-MPC2 chooses it."""
    fifth = max(mean_length / 5.0, 1.0)
    return min(max((fifth - 1.0) / fifth, 0.95), 0.995)


def _gaussian(said: Tensor) -> tuple[Tensor, Tensor]:
    """``(mean, deviation)`` before the tanh."""
    mean, raw = said.chunk(2, -1)
    low, high = LOG_DEVIATION
    return mean, (low + 0.5 * (high - low) * (raw.tanh() + 1)).exp()


def _normal(draws: Tensor) -> Tensor:
    """Standard normals from uniforms."""
    return 2**0.5 * torch.erfinv((2 * draws - 1).clamp(-1 + 1e-6, 1 - 1e-6))
