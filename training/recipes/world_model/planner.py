"""Planning in a model by the cross-entropy method, with MPPI weights of the elites (Rubinstein; Williams et al. 2017).

Everything random is keyed by (seed, start, step), so a plan does not depend on who else is planned for. Shapes: N
starts, K candidates, H steps, A action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from assets_data.lineage.identity.order import keyed_generator
from training.recipes.world_model.config import PlannerConfig


class Planner:
    """One model's plans for several episodes side by side. Keeps each start's last plan, to begin the next one from."""

    def __init__(self, model: Any, config: PlannerConfig, seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.device = next(model.parameters()).device
        self._plans: dict[int, Tensor] = {}

    @torch.no_grad()
    def act(
        self,
        history: Sequence[Sequence[np.ndarray]],
        taken: Sequence[Sequence[np.ndarray]],
        starts: Sequence[int],
        step: int,
    ) -> list[np.ndarray]:
        """An action for each start, in the space's own form, from its newest observations and actions before them."""
        state_NS = self._infer(history, taken)
        plan_NHP = torch.stack([self._begin(start) for start in starts])
        drawn = np.stack([self._draws(start, step) for start in starts])
        best_NHP = self._refine(state_NS, plan_NHP, torch.from_numpy(drawn).to(self.device))
        for start, plan_HP in zip(starts, best_NHP, strict=True):
            self._plans[start] = torch.cat([plan_HP[1:], self._fresh(1)])
        return self._to_actions(best_NHP[:, 0])

    def _refine(self, state_NS: Tensor, plan_NHP: Tensor, draws: Tensor) -> Tensor:
        """The mean (or the categorical probabilities) after all iterations. ``draws`` [N, I, K, H, A]."""
        config, discrete = self.config, self.model.scaling.discrete
        elites = max(1, int(config.candidates * config.elite_share))
        deviation = torch.ones_like(plan_NHP)
        for iteration in range(config.iterations):
            noise_NKHA = draws[:, iteration]
            if discrete:
                cumulative = plan_NHP.cumsum(-1)[:, None]
                index = (cumulative <= noise_NKHA).sum(-1).clamp_max(plan_NHP.shape[-1] - 1)
                actions_NKHA = F.one_hot(index, plan_NHP.shape[-1]).float()
            else:
                actions_NKHA = (plan_NHP[:, None] + deviation[:, None] * noise_NKHA).clamp(-1, 1)
            value_NK = self.score(state_NS, actions_NKHA)
            best_NE = value_NK.topk(elites, dim=1).indices
            chosen = torch.take_along_dim(actions_NKHA, best_NE[:, :, None, None], 1)
            value_NE = torch.take_along_dim(value_NK, best_NE, 1)
            weight = (config.temperature * (value_NE - value_NE.max(1, keepdim=True).values)).exp()
            weight = (weight / weight.sum(1, keepdim=True))[:, :, None, None]
            mean = (weight * chosen).sum(1)
            deviation = (weight * (chosen - mean[:, None]).square()).sum(1).sqrt().clamp_min(config.least_deviation)
            plan_NHP = 0.9 * mean + 0.1 * plan_NHP if discrete else mean
        return plan_NHP

    def score(self, state_NS: Tensor, actions_NKHA: Tensor) -> Tensor:
        """[N, K]: predicted rewards, each times the probability that the episode still goes on, and the last value."""
        n, k = actions_NKHA.shape[:2]
        state = state_NS.repeat_interleave(k, 0)
        actions = actions_NKHA.flatten(0, 1)
        total, weight = state.new_zeros(n * k), state.new_ones(n * k)
        for step in range(actions.shape[1]):
            state, reward, going_on = self.model.step(state, actions[:, step])
            total = total + weight * reward
            weight = weight * going_on * self.config.discount
        value = self.model.value(state)
        return (total if value is None else total + weight * value).unflatten(0, (n, k))

    def _infer(self, history: Sequence[Sequence[np.ndarray]], taken: Sequence[Sequence[np.ndarray]]) -> Tensor:
        """States from histories of unequal lengths, padded in front."""
        context = max(len(rows) for rows in history)
        obs, action, valid = [], [], np.zeros((len(history), context), bool)
        for i, (rows, done) in enumerate(zip(history, taken, strict=True)):
            missing = context - len(rows)
            valid[i, missing:] = True
            obs.append(np.stack([rows[0]] * missing + list(rows)))
            filler = np.zeros(self._action_shape(), self._action_type(done))
            action.append(np.stack([filler] * missing + list(done) + [filler]))
        tensors = (torch.from_numpy(np.stack(x)).to(self.device) for x in (obs, action))
        return self.model.infer(*tensors, torch.from_numpy(valid).to(self.device))

    def _action_shape(self) -> tuple[int, ...]:
        return () if self.model.scaling.discrete else tuple(self.model.scaling.low.shape)

    def _action_type(self, done: Sequence[np.ndarray]) -> Any:
        return done[0].dtype if len(done) else (np.int64 if self.model.scaling.discrete else np.float32)

    def _begin(self, start: int) -> Tensor:
        return self._plans[start] if start in self._plans else self._fresh(self.config.horizon)

    def _fresh(self, steps: int) -> Tensor:
        size = self.model.scaling.action_size
        filled = torch.full((steps, size), 1.0 / size) if self.model.scaling.discrete else torch.zeros(steps, size)
        return filled.to(self.device)

    def _draws(self, start: int, step: int) -> np.ndarray:
        """float32 [I, K, H, A] of standard normals, or [I, K, H, 1] of uniforms, of one start's step."""
        config = self.config
        generator = keyed_generator(self.seed, f"plan/{start}", step)
        shape = (config.iterations, config.candidates, config.horizon)
        if self.model.scaling.discrete:
            return generator.random((*shape, 1)).astype(np.float32)
        return generator.standard_normal((*shape, self.model.scaling.action_size)).astype(np.float32)

    def _to_actions(self, plan_NP: Tensor) -> list[np.ndarray]:
        chosen = self.model.scaling.to_action(plan_NP).cpu().numpy()
        if self.model.scaling.discrete:
            return [np.array(int(action), np.int64) for action in chosen]
        shape = self._action_shape()
        low, high = (np.asarray(x.cpu().numpy()) for x in (self.model.scaling.low, self.model.scaling.high))
        return [np.clip(action.reshape(shape), low, high).astype(np.float32) for action in chosen]
