"""Products by oneDNN or by torch's own library: the right numbers, whichever makes them."""

import pytest
import torch
from torch import Tensor

from app.attribution import products
from app.attribution.products import has_wide_vectors, linear, product

LARGE = (300, 96, 200)  # rows, sums and columns: enough for oneDNN
SMALL = (3, 5, 4)


def operands(
    shape: tuple[int, int, int], dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    n_rows, k, n_columns = shape
    drawn = torch.Generator().manual_seed(n_rows)
    sizes = ((n_rows, k), (k, n_columns), (n_columns,))
    x, w, bias = (torch.randn(size, generator=drawn, dtype=torch.float64).to(dtype) for size in sizes)
    return x, w, bias


def slow(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Each number summed on its own, in float64."""
    return torch.stack(
        [
            torch.stack([(row.double() * column.double()).sum() for column in w.T])
            + (0 if bias is None else bias)
            for row in x
        ]
    )


@pytest.fixture(params=[True, False], ids=["as here", "without wide vectors"])
def _as_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(products, "has_wide_vectors", lambda: False)


@pytest.mark.usefixtures("_as_here")
@pytest.mark.parametrize("shape", [LARGE, SMALL, (1, 2048, 600), (2048, 600, 1)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_product_is_that_of_a_slow_loop(shape: tuple[int, int, int], with_bias: bool) -> None:
    x, w, bias = operands(shape)
    found = product(x, w, bias if with_bias else None)
    expected = slow(x, w, bias if with_bias else None)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.usefixtures("_as_here")
def test_a_product_with_the_identity_is_the_same_matrix() -> None:
    x, _, bias = operands((300, 96, 96))
    torch.testing.assert_close(product(x, torch.eye(96)), x, rtol=0, atol=0)
    torch.testing.assert_close(product(x, torch.eye(96), bias), x + bias, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_number_formats_are_left_to_torch(dtype: torch.dtype) -> None:
    x, w, bias = operands(LARGE, dtype)
    torch.testing.assert_close(product(x, w, bias), torch.addmm(bias, x, w), rtol=0, atol=0)


def test_rows_may_be_spread_over_several_dimensions_and_memory_in_any_order() -> None:
    x, w, bias = operands(LARGE)
    expected = product(x, w, bias)
    torch.testing.assert_close(linear(x.view(3, 100, 96), w.T, bias).flatten(0, 1), expected)
    torch.testing.assert_close(product(x.T.contiguous().T, w, bias), expected)
    torch.testing.assert_close(product(x, w.T.contiguous().T, bias), expected)
    torch.testing.assert_close(product(x[::2], w[:, ::2], bias[::2]), expected[::2, ::2])
    torch.testing.assert_close(product(x, w[:, 7:], bias[7:]), expected[:, 7:])
    wide = w.T.contiguous().T
    torch.testing.assert_close(product(x, wide[:, 7:], bias[7:]), expected[:, 7:])
    torch.testing.assert_close(product(x[:, 7:], wide[7:]), product(x[:, 7:].contiguous(), w[7:].clone()))


def test_large_products_are_made_by_onednn_where_it_is_the_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []

    def library(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        asked.append(tuple(x.shape))
        return torch.nn.functional.linear(x, weight, bias)

    monkeypatch.setattr(products, "library_linear", library)
    for shape in (LARGE, SMALL):
        product(*operands(shape))
    x, w, _ = operands(LARGE)
    part = w[:, :-1]  # of a larger matrix, with gaps between its rows
    product(x[:255], part)
    product(x[:256], part)
    few = [SMALL[:2], (255, 96)]
    assert asked == (few if has_wide_vectors() else [LARGE[:2], *few, (256, 96)])


def test_gradients_are_those_of_torch() -> None:
    x, w, bias = operands(LARGE)
    x.requires_grad_()
    product(x, w, bias).sum().backward()
    torch.testing.assert_close(x.grad, w.sum(dim=1).expand(x.shape), rtol=1e-4, atol=1e-4)


def test_a_class_of_tensors_with_products_of_its_own_keeps_them() -> None:
    class Doubling(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = super().__torch_function__(func, types, args, kwargs or {})
            return result * 2 if func is torch.nn.functional.linear else result

    x, w, _ = operands(LARGE)
    torch.testing.assert_close(product(x.as_subclass(Doubling), w).as_subclass(Tensor), 2 * product(x, w))


@pytest.mark.parametrize("shape", [(95, 200), (96,), (2, 96, 200)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises((RuntimeError, TypeError)):  # TypeError: where shapes are checked before
        product(operands(LARGE)[0], torch.zeros(shape), torch.zeros(200))


def test_no_rows_give_no_rows() -> None:
    assert product(torch.zeros(0, 96), torch.zeros(96, 200)).shape == (0, 200)
