"""Any value that an optimizer keeps, as JSON with the tensors beside it, and back to the very same value.

JSON (RFC 8785) has no infinity, no NaN, no tuple, and one kind of number, in which 1.0 reads back as 1. So everything
but strings, booleans, None, integers and fractions that JSON holds exactly is an object with one tag that says what it
is: ``{"float": "inf"}``, ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``, ``{"tensor": name}``. A plain number
is its own encoding. An object of the optimizer's own package is kept as its class's name and its fields; reading one
back runs none of its code and takes no class from anywhere else, so this is no pickle. One that has a ``state_dict`` is
kept as that, and read back into the one that is there.

Tensors come back laid out as they were, see :mod:`training.layout`.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from training.layout import cpu_copy, layout, with_layout

EXACT = 2**53
"""Integers up to here are the same in JSON."""
SEQUENCES: dict[str, type] = {"list": list, "tuple": tuple, "size": torch.Size, "set": set}
TAGS = {cls: tag for tag, cls in SEQUENCES.items()}
BESIDE = {"device", "stride", "maxlen", "fields", "member"}
"""Keys that say more about the value whose tag stands beside them."""


class Encoder:
    """Turns values into JSON and puts CPU copies of their tensors into ``tensors``.

    ``names`` gives the model's parameters by ``id``, ``package`` is whose objects may be taken apart.
    """

    def __init__(self, tensors: MutableMapping[str, Tensor], names: Mapping[int, str], package: str) -> None:
        self.tensors, self.names, self.package = tensors, names, package

    def encode(self, value: Any, name: str) -> Any:
        """JSON of ``value``; its tensors are named ``name`` and below. Raises TypeError for what cannot be kept."""
        if value is None or type(value) in (bool, str):
            return value
        if type(value) in (int, float):
            return _number(value)
        if isinstance(value, Tensor):
            return self._tensor(value, name)
        if type(value) is dict:
            return {"dict": self._pairs(value, name)}
        if type(value) is deque:
            return {"deque": self._items(value, name), "maxlen": value.maxlen}
        if type(value) in TAGS:
            items = sorted(value, key=repr) if type(value) is set else value  # a set has no order of its own
            return {TAGS[type(value)]: self._items(items, name)}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if type(value).__module__.split(".")[0] == self.package:
            return self._of_package(value, name)
        raise TypeError(f"{type(value).__name__}")

    def _of_package(self, value: Any, name: str) -> dict[str, Any]:
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        if isinstance(value, Enum):
            return {"enum": kind, "member": value.name}
        if has_state(value):
            return {"state_dict": self.encode(value.state_dict(), name)}
        if is_constant(value) or not hasattr(value, "__dict__"):
            raise TypeError(kind)
        return {"object": kind, "fields": self._pairs(vars(value), name)}

    def _tensor(self, value: Tensor, name: str) -> dict[str, Any]:
        if id(value) in self.names:
            return {"parameter": self.names[id(value)]}
        self.tensors[name] = cpu_copy(value)
        found = {"tensor": name, "device": value.device.type}
        return found if (stride := layout(value)) is None else {**found, "stride": stride}

    def _items(self, values: Any, name: str) -> list[Any]:
        return [self.encode(value, f"{name}/{index}") for index, value in enumerate(values)]

    def _pairs(self, values: Mapping[Any, Any], name: str) -> list[list[Any]]:
        items = enumerate(values.items())
        return [[self.encode(key, f"{name}/{i}/key"), self.encode(value, f"{name}/{i}")] for i, (key, value) in items]


class Decoder:
    """The inverse of :class:`Encoder`; ``place(tensor, device type it was on)`` puts a tensor where it belongs now."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        package: str,
        place: Callable[[Tensor, str], Tensor],
    ) -> None:
        self.tensors, self.parameters, self.package, self.place = tensors, parameters, package, place
        self.used: set[str] = set()
        """Names of the tensors that were asked for."""

    def decode(self, value: Any, present: Any = None) -> Any:
        """The value whose JSON this is; ``present`` is what is there now. Raises ValueError for what is not known."""
        if not isinstance(value, dict):
            return value
        tag = next(iter(value.keys() - BESIDE), "")
        body: Any = value.get(tag)
        if tag in SEQUENCES:
            return SEQUENCES[tag](self.decode(item) for item in body)
        match tag:
            case "float" | "int":
                return {"float": float, "int": int}[tag](body)
            case "tensor":
                self.used.add(body)
                return with_layout(self.place(self.tensors[body], value["device"]), value.get("stride"))
            case "parameter":
                return self.parameters[body]
            case "dict":
                return self._mapping(body)
            case "deque":
                return deque((self.decode(item) for item in body), value["maxlen"])
            case "dtype" if isinstance(found := getattr(torch, body, None), torch.dtype):
                return found
            case "enum":
                return self._class(body)[value["member"]]
            case "object":
                made = object.__new__(self._class(body))
                vars(made).update(self._mapping(value["fields"]))
                return made
            case "state_dict" if has_state(present):
                present.load_state_dict(self.decode(body))
                return present
        raise ValueError(f"unknown kind of value {tag!r}")

    def _mapping(self, pairs: Any) -> dict[Any, Any]:
        return {self.decode(key): self.decode(value) for key, value in pairs}

    def _class(self, kind: str) -> Any:
        module, _, name = kind.partition(":")
        cls = getattr(sys.modules.get(module), name, None)
        if not isinstance(cls, type) or cls.__module__ != module or module.split(".")[0] != self.package:
            raise ValueError(f"{kind} is no class of {self.package}")
        return cls


def is_constant(value: Any) -> bool:
    """Whether a value is one that a constructor gives and an update never changes: code, or a model."""
    return callable(value) or isinstance(value, nn.Module)


def has_state(value: Any) -> bool:
    """Whether a value knows its own state as plain data."""
    return all(callable(getattr(value, name, None)) for name in ("state_dict", "load_state_dict"))


def _number(value: int | float) -> Any:
    if isinstance(value, int):
        return value if abs(value) <= EXACT else {"int": str(value)}
    fraction = math.isfinite(value) and not value.is_integer()
    return value if fraction else {"float": repr(value)}
