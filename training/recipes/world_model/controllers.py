"""Known controllers, which see the true state of an environment: the far end of the planning score.

Pendulum: energy shaping up, a linear quadratic regulator near the top (Astrom and Furuta 2000). CartPole: the regulator
alone. An environment without one has no planning score.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Controller = Callable[[Any], np.ndarray]
"""From an unwrapped environment to an action in its own form."""


def find_controller(env_id: str) -> Controller | None:
    """The controller of an environment's id, whatever its version; None where none is known."""
    return _KNOWN.get(env_id.rpartition(":")[2].partition("-v")[0])


def pendulum(environment: Any) -> np.ndarray:
    """Torque float32[1]. Energy of the swing against that of the upright rest; the regulator within half a radian."""
    angle, speed = environment.state
    angle = (angle + np.pi) % (2 * np.pi) - np.pi  # 0 is upright
    if abs(angle) < 0.5 and abs(speed) < 4.0:
        gain = _pendulum_gain(environment.dt, environment.g, environment.m, environment.l)
        torque = -float(gain @ np.array([angle, speed]))
    else:
        # thetadot' = 3g/(2l) sin(theta) + 3/(ml^2) u; E is its first integral, 3g/(2l) at the upright rest
        g, length = environment.g, environment.l
        energy = 0.5 * speed**2 + 1.5 * g / length * np.cos(angle)
        direction = np.sign(speed) if speed else 1.0
        torque = environment.max_torque * np.clip(2.0 * (1.5 * g / length - energy), -1, 1) * direction
    return np.array([np.clip(torque, -environment.max_torque, environment.max_torque)], np.float32)


def cart_pole(environment: Any) -> np.ndarray:
    """0 or 1: the side that the regulator's force points to."""
    e = environment
    gain = _cart_pole_gain(e.masscart, e.masspole, e.length, e.gravity, e.tau)
    return np.array(int(float(-(gain @ np.array(environment.state))[0]) > 0), np.int64)


def regulator(a: np.ndarray, b: np.ndarray, q: np.ndarray, r: np.ndarray, steps: int = 2000) -> np.ndarray:
    """The gain of the discrete linear quadratic regulator: the Riccati recursion until it stands still."""
    p = q
    gain = np.zeros((b.shape[1], a.shape[0]))
    for _ in range(steps):
        after = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p = q + a.T @ p @ (a - b @ after)
        if np.allclose(after, gain, rtol=0, atol=1e-10):
            break
        gain = after
    return gain


@functools.cache
def _pendulum_gain(dt: float, g: float, m: float, length: float) -> np.ndarray:
    # semi-implicit Euler, as the environment steps: thetadot first, then theta by the new thetadot
    push, pull = dt * 3.0 / (m * length**2), dt * 1.5 * g / length
    a = np.array([[1 + dt * pull, dt], [pull, 1.0]])
    b = np.array([[dt * push], [push]])
    return regulator(a, b, np.diag([1.0, 0.1]), np.array([[0.001]]))[0]


@functools.cache
def _cart_pole_gain(mass_cart: float, mass_pole: float, half: float, g: float, dt: float) -> np.ndarray:
    total = mass_cart + mass_pole
    bend = half * (4.0 / 3.0 - mass_pole / total)
    fall, drag = g / bend, mass_pole * half * g / (bend * total)
    a = np.eye(4) + dt * np.array([[0, 1, 0, 0], [0, 0, -drag, 0], [0, 0, 0, 1], [0, 0, fall, 0]])
    b = dt * np.array([[0], [1 / total + mass_pole * half / (bend * total**2)], [0], [-1 / (bend * total)]])
    return regulator(a, b, np.diag([1.0, 1.0, 10.0, 1.0]), np.array([[0.01]]))


_KNOWN: dict[str, Controller] = {"Pendulum": pendulum, "CartPole": cart_pole}
