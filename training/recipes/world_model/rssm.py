"""A recurrent state-space model (Hafner et al. 2019, 2023): h' = GRU(h, MLP[z, a]), z categorical.

A state is one tensor [N, gru + groups * classes]: h, then z. Shapes: B sequences, T rows, G groups, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.recipes.world_model.config import RssmConfig
from training.recipes.world_model.layers import Mlp, Scaling, build_decoder, build_encoder, masked_mean


class Rssm(nn.Module):
    """Encoder, recurrent core, prior and posterior, decoder, reward and continue heads."""

    def __init__(self, config: RssmConfig, inputs: Mapping[str, Any]) -> None:
        super().__init__()
        self.config, self.scaling = config, Scaling(inputs)
        gru, hidden, stochastic = config.gru, config.hidden, config.groups * config.classes
        self.encoder = build_encoder(self.scaling, [hidden] * 2, hidden, config.depth)
        self.taken = Mlp(stochastic + self.scaling.action_size, [hidden])
        self.core = nn.GRUCell(hidden, gru)
        self.prior = Mlp(gru, [hidden], stochastic)
        self.posterior = Mlp(gru + hidden, [hidden], stochastic)
        self.decoder = build_decoder(self.scaling, gru + stochastic, [hidden] * 2, config.depth)
        self.reward = Mlp(gru + stochastic, [hidden], 1)
        self.going_on = Mlp(gru + stochastic, [hidden], 1)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``state`` [B, T, gru + GC], and log-probabilities ``prior`` and ``posterior`` [B, T, G, C] of every row."""
        seen_BTD = self.scaling.obs(batch["obs"])
        embedded_BTH = self.encoder(seen_BTD.flatten(0, 1)).unflatten(0, seen_BTD.shape[:2])
        action_BTA = self.scaling.action(batch["action"])
        h_BG = embedded_BTH.new_zeros(len(embedded_BTH), self.config.gru)
        z_BZ = embedded_BTH.new_zeros(len(embedded_BTH), self.config.groups * self.config.classes)
        taken_BA = torch.zeros_like(action_BTA[:, 0])
        states, log_posteriors = [], []
        for t in range(embedded_BTH.shape[1]):
            h_BG = self._recur(h_BG, z_BZ, taken_BA)
            log_BGC = self._mixed(self.posterior(torch.cat([h_BG, embedded_BTH[:, t]], -1)))
            z_BZ = straight_through(log_BGC, batch["draws"][:, t]).flatten(1)
            taken_BA = action_BTA[:, t]
            states.append(torch.cat([h_BG, z_BZ], -1))
            log_posteriors.append(log_BGC)
        state_BTS = torch.stack(states, 1)
        return {
            "state": state_BTS,
            "posterior": torch.stack(log_posteriors, 1),
            "prior": self._mixed(self.prior(state_BTS[..., : self.config.gru])),
        }

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over unmasked rows. Row t's reward head says the reward earned on the way to row t."""
        out, mask_BT, config = self(batch), batch["mask"], self.config
        items = mask_BT.sum()
        target = self.scaling.obs(batch["obs"])
        said = self.decoder(out["state"].flatten(0, 1)).unflatten(0, mask_BT.shape)
        obs_BT = 0.5 * (said - target).square().flatten(2).sum(-1)
        arrived_BT = mask_BT[:, 1:]
        reward_BT = self.reward(out["state"][:, 1:]).squeeze(-1)
        earned_BT = self.scaling.reward(batch["reward"][:, :-1])
        goes_on_BT = 1.0 - batch["terminated"].float()
        ends_BT = F.binary_cross_entropy_with_logits(
            self.going_on(out["state"]).squeeze(-1), goes_on_BT, reduction="none"
        )
        dynamics = divergence(out["posterior"].detach(), out["prior"]).clamp_min(config.free_nats)
        representation = divergence(out["posterior"], out["prior"].detach()).clamp_min(config.free_nats)
        parts = {
            "obs_loss": masked_mean(obs_BT, mask_BT, items),
            "reward_loss": masked_mean(0.5 * (reward_BT - earned_BT).square(), arrived_BT, items),
            "continue_loss": masked_mean(ends_BT, mask_BT, items),
            "dynamics_loss": masked_mean(dynamics, mask_BT, items),
            "representation_loss": masked_mean(representation, mask_BT, items),
        }
        weights = (config.obs_weight, 1.0, 1.0, 0.5, 0.1)
        return {"loss": sum(w * part for w, part in zip(weights, parts.values(), strict=True)), **parts}  # type: ignore[dict-item]

    def infer(self, obs: Tensor, action: Tensor, valid_NK: Tensor) -> Tensor:
        """[N, S]: the state after K rows as recorded. Rows before the first valid one leave the state at zero."""
        embedded_NKH = self.encoder(self.scaling.obs(obs).flatten(0, 1)).unflatten(0, valid_NK.shape)
        action_NKA = self.scaling.action(action)
        state_NS = embedded_NKH.new_zeros(len(obs), self.config.gru + self.config.groups * self.config.classes)
        taken_NA = torch.zeros_like(action_NKA[:, 0])
        for k in range(embedded_NKH.shape[1]):
            h_NG = self._recur(*self._apart(state_NS), taken_NA)
            log_NGC = self._mixed(self.posterior(torch.cat([h_NG, embedded_NKH[:, k]], -1)))
            live_N1 = valid_NK[:, k, None].float()
            state_NS = torch.cat([h_NG, log_NGC.exp().flatten(1)], -1) * live_N1
            taken_NA = action_NKA[:, k] * live_N1
        return state_NS

    def step(self, state_NS: Tensor, action_NA: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(state, reward, continue probability)`` after a normalised action; z is the prior's mean."""
        h_NG = self._recur(*self._apart(state_NS), action_NA)
        z_NZ = self._mixed(self.prior(h_NG)).exp().flatten(1)
        after_NS = torch.cat([h_NG, z_NZ], -1)
        reward_N = self.scaling.to_reward(self.reward(after_NS).squeeze(-1))
        return after_NS, reward_N, self.going_on(after_NS).squeeze(-1).sigmoid()

    def decode(self, state_NS: Tensor) -> Tensor:
        """Normalised observations of states."""
        return self.decoder(state_NS)

    def value(self, state_NS: Tensor) -> Tensor | None:
        """None: this model has no values."""
        return None

    def inner_states(self, batch: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """The prior's probabilities against the posterior's, of every unmasked row."""
        out, mask = self(batch), batch["mask"]
        return {"prior": (out["prior"][mask].exp().flatten(1), out["posterior"][mask].exp().flatten(1))}

    def _recur(self, h_BG: Tensor, z_BZ: Tensor, action_BA: Tensor) -> Tensor:
        return self.core(self.taken(torch.cat([z_BZ, action_BA], -1)), h_BG)

    def _apart(self, state_NS: Tensor) -> tuple[Tensor, Tensor]:
        return state_NS[..., : self.config.gru], state_NS[..., self.config.gru :]

    def _mixed(self, logits: Tensor) -> Tensor:
        """Log-probabilities [..., G, C], mixed with a share of the uniform distribution."""
        share, classes = self.config.uniform, self.config.classes
        probabilities = logits.unflatten(-1, (-1, classes)).softmax(-1)
        return ((1 - share) * probabilities + share / classes).log()


def straight_through(log_BGC: Tensor, draws_BG: Tensor) -> Tensor:
    """One-hot samples [B, G, C] by inverse transform of uniforms, with the probabilities' gradient."""
    probabilities = log_BGC.exp()
    drawn = (probabilities.detach().cumsum(-1) <= draws_BG[..., None]).sum(-1).clamp_max(log_BGC.shape[-1] - 1)
    return F.one_hot(drawn, log_BGC.shape[-1]) + probabilities - probabilities.detach()


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p, q) in nats [B, T], summed over groups."""
    return (log_p.exp() * (log_p - log_q)).sum((-1, -2))
