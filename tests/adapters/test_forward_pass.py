"""Within a forward pass, layers of models get their products with weights from `app.attribution.products`."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from app.adapters import forward_pass as module
from app.adapters.forward_pass import forward_pass
from app.attribution.products import linear, product

N_IN, N_OUT = 96, 200


def make_layer(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "conv1d":
        return Conv1D(N_OUT, N_IN)
    return torch.nn.Linear(N_IN, N_OUT, bias=kind == "with bias")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is asked for, in order."""
    asked: list[str] = []

    def noted(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *args: (asked.append(name), function(*args))[1]

    monkeypatch.setattr(module, "linear", noted("linear", linear))
    monkeypatch.setattr(module, "product", noted("product", product))
    return asked


@pytest.mark.parametrize(
    ("kind", "name"), [("with bias", "linear"), ("without", "linear"), ("conv1d", "product")]
)
def test_layers_compute_the_same_by_our_products(kind: str, name: str, calls: list[str]) -> None:
    layer, x = make_layer(kind), torch.randn(4, 100, N_IN)
    with torch.no_grad():
        expected = layer(x)
    assert calls == []
    with forward_pass():
        found = layer(x)
    assert calls == [name]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_products_are_torchs_own_after_the_pass_and_in_other_threads(calls: list[str]) -> None:
    layer, x = make_layer("with bias"), torch.randn(4, N_IN)
    with forward_pass():
        other = threading.Thread(target=layer, args=[x])
        other.start()
        other.join()
    layer(x)
    assert calls == []


def test_there_are_no_gradients_in_a_pass() -> None:
    layer = make_layer("with bias")
    with forward_pass():
        assert layer(torch.randn(4, N_IN)).is_inference()
    assert layer(torch.randn(4, N_IN)).requires_grad


def test_calls_in_another_form_are_left_to_torch(calls: list[str]) -> None:
    x, w, each = torch.randn(4, N_IN), torch.randn(N_IN, N_OUT), torch.randn(4, N_OUT)
    with forward_pass():
        found = [
            torch.addmm(each, x, w),
            torch.addmm(each[0], x, w, beta=2),
            torch.addmm(each, mat1=x, mat2=w),
        ]
    assert calls == []
    torch.testing.assert_close(found, [x @ w + each, x @ w + 2 * each[0], x @ w + each], rtol=1e-5, atol=1e-5)
