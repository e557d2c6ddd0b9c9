"""What an optimizer may keep comes back as it was, through canonical JSON and tensors."""

import math
from collections import deque

import numpy as np
import pytest
import rfc8785
import torch

from assets_data.lineage.identity.digests import load_json
from training.layout import layout, with_layout
from training.nested import Decoder, Encoder


def there_and_back(value, parameters=None, package="pytorch_optimizer", present=None):
    tensors: dict[str, torch.Tensor] = {}
    parameters = parameters or {}
    encoded = Encoder(tensors, {id(p): name for name, p in parameters.items()}, package).encode(value, "x")
    document = load_json(rfc8785.dumps(encoded), "x")
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    return Decoder(copies, parameters, package, lambda tensor, was_on: tensor).decode(document, present)


def same(left, right) -> bool:
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right) and left.dtype == right.dtype and left.stride() == right.stride()
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return [*left] == [*right] and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple | deque):
        long = len(left) == len(right) and getattr(left, "maxlen", 0) == getattr(right, "maxlen", 0)
        return long and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, float):
        return np.float64(left).tobytes() == np.float64(right).tobytes()
    return left == right


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, 1, 1.0, -0.0, 0.1, 5e-324, 1e300, math.inf, -math.inf, math.nan, 2**53 + 1, -(2**80), "inf", "",
        [], (), {}, {"float": "inf"}, {"tensor": "x"}, [1, (2.0, [None])], {0.9: torch.ones(2), (1, "a"): {"b": []}},
        deque([torch.zeros(3), 1.5], maxlen=4), deque(), {"a", "b"}, torch.Size([2, 3]), torch.bfloat16, torch.int8,
        torch.zeros(()), torch.ones(2, 0), torch.tensor([True, False]), torch.ones(3, dtype=torch.bfloat16),
        torch.arange(6.0).view(2, 3).T, [torch.ones(1, 8).T], torch.arange(12.0).view(3, 4)[:, :2],
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_value_comes_back_as_it_was(value):
    assert same(there_and_back(value), value)


def test_a_number_is_its_own_encoding_so_that_old_checkpoints_load():
    decoder = Decoder({}, {}, "pytorch_optimizer", lambda tensor, was_on: tensor)
    for plain in (3, 0.25, True, None, "kind"):
        assert decoder.decode(plain) is plain or decoder.decode(plain) == plain
        assert Encoder({}, {}, "").encode(plain, "x") == plain


def test_a_parameter_is_kept_by_name_and_comes_back_as_the_model_s_own():
    weight = torch.nn.Parameter(torch.ones(2))
    found = there_and_back({weight: [weight]}, {"layer.weight": weight})
    assert next(iter(found)) is weight and found[weight][0] is weight


def test_an_object_of_the_optimizer_s_package_comes_back_with_all_its_fields():
    from pytorch_optimizer.optimizer.utils.preconditioner import PreConditioner

    made = PreConditioner(torch.ones(6, 4), 0.9, 0, 4, 1, 8192, True, 0)
    found = there_and_back(made)
    assert type(found) is PreConditioner and found.partitioner.split_sizes == made.partitioner.split_sizes
    assert same(found.statistics, made.statistics) and found.original_shape == torch.Size([6, 4])
    assert type(found.pre_conditioner_type) is type(made.pre_conditioner_type)


def test_one_that_knows_its_own_state_is_read_into_the_one_that_is_there():
    from pytorch_optimizer.optimizer.spam import CosineDecay

    made, other = CosineDecay(0.99, 10), CosineDecay(0.99, 10)
    for update in range(4):
        made.get_death_rate(update)
    assert there_and_back(made, present=other) is other
    assert other.get_death_rate(4) == made.get_death_rate(4) != CosineDecay(0.99, 10).get_death_rate(4)


@pytest.mark.parametrize(
    "document",
    [
        {"object": "subprocess:Popen", "fields": []},
        {"object": "pytorch_optimizer.optimizer.spam:torch", "fields": []},
        {"object": "pytorch_optimizer.optimizer.spam:SGD", "fields": []},
        {"enum": "signal:Signals", "member": "SIGKILL"},
        {"dtype": "load"},
        {"state_dict": {"dict": []}},
        {"callable": "print"},
    ],
    ids=str,
)
def test_nothing_but_the_package_s_own_data_is_made(document):
    with pytest.raises(ValueError, match=r"is no class of|unknown kind of value"):
        Decoder({}, {}, "pytorch_optimizer", lambda tensor, was_on: tensor).decode(document)


@pytest.mark.parametrize("value", [object(), print, torch.Generator(), [lambda: 0], 1j], ids=repr)
def test_what_cannot_be_kept_is_refused(value):
    with pytest.raises(TypeError):
        Encoder({}, {}, "pytorch_optimizer").encode(value, "x")


def test_an_expanded_tensor_is_written_out():
    value = torch.ones(1, 3).expand(4, 3)
    assert layout(value) is None and torch.equal(there_and_back([value])[0], value)


def test_what_is_read_back_is_aligned_as_fresh_tensors_are():
    odd = torch.arange(9.0)[1:]
    assert odd.data_ptr() % 64 and with_layout(odd, None).data_ptr() % 64 == torch.empty(8).data_ptr() % 64
