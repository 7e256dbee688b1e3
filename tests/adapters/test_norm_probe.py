"""Which modules count as a norm: by what they do to a few vectors, whatever they are called."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from app.adapters.norm_probe import describe_norm
from app.attribution.norms import FrozenNorm

D_MODEL = 16


def described(module: Callable[[torch.Tensor], Any]) -> FrozenNorm | None:
    return describe_norm(module, D_MODEL, torch.float32, torch.device("cpu"))


def two_arguments(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x + y


@pytest.mark.parametrize("centre", [True, False], ids=["LayerNorm", "RMSNorm"])
def test_a_norm_is_described_with_its_weight_bias_and_epsilon(centre: bool) -> None:
    module = nn.LayerNorm(D_MODEL, eps=1e-4) if centre else nn.RMSNorm(D_MODEL, eps=1e-4)
    with torch.no_grad():
        module.weight.copy_(torch.linspace(0.5, 2, D_MODEL))
        if centre:
            module.bias.copy_(torch.linspace(-1, 1, D_MODEL))
    norm = described(module)
    assert norm is not None
    assert norm.centre == centre
    assert norm.eps == pytest.approx(1e-4)
    torch.testing.assert_close(norm.weight, module.weight.detach())
    expected = module.bias.detach() if centre else torch.zeros(D_MODEL)
    torch.testing.assert_close(norm.bias, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        two_arguments,
        nn.Linear(D_MODEL, D_MODEL),
        nn.Linear(D_MODEL, 3),
        lambda x: (x, x),
        nn.Linear(3, 3),
        nn.Tanh(),
    ],
    ids=["two arguments", "a matrix", "another width", "a tuple", "reads another width", "no norm"],
)
def test_what_is_no_norm_is_not_described_as_one(module: Callable[[torch.Tensor], Any]) -> None:
    assert described(module) is None
