"""A stand-in for an Apple GPU on a machine without one: tensors that say they are on `mps`, and fail as they do there.

Inside `NarrowDevice`, what is made on or moved to `mps` is a `NarrowTensor`, computed by the CPU. It fails as torch
does on MPS where float64 would come to be, where tensors of two devices meet, where an operator has no kernel for MPS
(by the table that torch is built from), and where numpy would read its memory. What the numbers are on a real GPU it
cannot say, nor what memory they take.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torchgen
import yaml
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

MPS = torch.device("mps:0")
WIDE = (torch.float64, torch.complex128)
aten = torch.ops.aten
# Those that read one device and write another, or take places from the host.
_ACROSS = {
    aten._to_copy.default,
    aten.copy_.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
}
_NUMBERS = (torch.Tensor.__float__, torch.Tensor.__int__, torch.Tensor.__bool__, torch.Tensor.__index__)


class NarrowTensor(torch.Tensor):
    """A tensor that is on `mps` to whoever asks; `held` is what it holds."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "NarrowTensor":
        if held.dtype in WIDE:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=MPS,
        )
        made.held = held.detach()
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.numpy:
            if not kwargs.get("force"):
                raise TypeError("can't convert mps:0 device type tensor to numpy")
            return args[0].detach().cpu().numpy()
        if func is torch.Tensor.tolist:
            return args[0].detach().cpu().tolist()
        # These ask for the library of the device first.
        if func in _NUMBERS:
            return func(args[0].held)
        if func is torch.Tensor.nonzero:
            return tree_map_only(torch.Tensor, NarrowTensor, args[0].held.nonzero(**kwargs))
        if func is torch.Tensor.contiguous:
            return (
                args[0] if args[0].is_contiguous() else args[0].clone(memory_format=torch.contiguous_format)
            )
        if func is torch.Tensor.__getitem__ and isinstance(args[0], NarrowTensor):
            return NarrowTensor(args[0].held[_held(args[1])])
        if func is torch.Tensor.__setitem__ and isinstance(args[0], NarrowTensor):
            if _is_plain(args[2]) and args[2].ndim:
                raise RuntimeError("Expected all tensors to be on the same device, but found mps:0 and cpu")
            args[0].held[_held(args[1])] = _held(args[2])
            return None
        with torch._C.DisableTorchFunctionSubclass():
            done = func(*args, **kwargs)
        if func is torch.Tensor.data.__set__:
            args[0].held = args[1].held
        return done

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    # Modules exchange their weights whole for a tensor of such a kind.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *_: Any) -> "NarrowTensor":
        return NarrowTensor(inner["held"])

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"NarrowTensor({self.held!r})"


class NarrowDevice:
    """While it is entered, `mps` is a device of this machine. `met`: the operators that ran on it."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        self._entered = ExitStack()

    def __enter__(self) -> "NarrowDevice":
        # Gradients would ask for the library of the device, and views of a tensor that was made before inference mode
        # would be refused, since what they show is wrapped anew.
        plain = patch.object(torch, "inference_mode", _without_gradients)
        for each in (torch.no_grad(), plain, _WithIndex(), _Kernels(self.met)):
            self._entered.enter_context(each)
        return self

    def __exit__(self, *cause: Any) -> None:
        self._entered.close()


def _without_gradients(mode: bool = True) -> AbstractContextManager[None]:
    return torch.no_grad() if mode else nullcontext()


class _Kernels(TorchDispatchMode):
    """Runs operators where their tensors are, once they are those that have kernels."""

    def __init__(self, met: set[str]) -> None:
        super().__init__()
        self._met = met

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _is_narrow(args, kwargs):
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            self._met.add(func.name())
            return _run(func, args, kwargs)


class _WithIndex(TorchFunctionMode):
    """`mps` as `mps:0`: for the number of a device torch asks the library that this machine lacks."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        args, kwargs = tree_map(_with_index, (args, kwargs or {}))
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == MPS:
            return func(*args, **(kwargs | {"device": "cpu"})).to(MPS)
        return func(*args, **kwargs)


def _with_index(leaf: Any) -> Any:
    return MPS if isinstance(leaf, (str, torch.device)) and str(leaf) == "mps" else leaf


def _is_narrow(args: Any, kwargs: Any) -> bool:
    leaves = tree_flatten((args, kwargs))[0]
    return any(isinstance(leaf, NarrowTensor) or leaf == MPS for leaf in leaves if not _is_plain(leaf))


def _held(tree: Any) -> Any:
    return tree_map_only(NarrowTensor, lambda each: each.held, tree)


def _is_plain(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and not isinstance(leaf, NarrowTensor)


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    leaves = tree_flatten((args, kwargs))[0]
    narrow = [leaf for leaf in leaves if isinstance(leaf, NarrowTensor)]
    if narrow and func not in _ACROSS:
        others = [leaf for leaf in leaves if _is_plain(leaf) and leaf.ndim]
        if others:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, mps:0 and cpu ({func})"
            )
    device = kwargs.get("device")
    if (device is None or device == MPS) and not has_kernel(func.name()):
        raise NotImplementedError(
            f"The operator '{func.name()}' is not currently implemented for the MPS device"
        )
    held_args, held_kwargs = _held((args, kwargs))
    if device == MPS:
        held_kwargs["device"] = torch.device("cpu")
    done = func(*held_args, **held_kwargs)
    if device is not None and device != MPS:
        return done
    by_held = {id(each.held): each for each in narrow}
    own = {id(leaf) for leaf in leaves if _is_plain(leaf)}  # written in place, on the host

    def narrowed(out: torch.Tensor) -> torch.Tensor:
        if id(out) in own:
            return out
        return by_held[id(out)] if id(out) in by_held else NarrowTensor(out)

    return tree_map_only(torch.Tensor, narrowed, done)


@cache
def _kernels() -> dict[str, tuple[set[str], str | None]]:
    """Of each operator of torch: the devices that have a kernel of it, and the operator that it is made of."""
    table = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    declared = yaml.safe_load(table.read_text())
    return {
        each["func"].split("(")[0]: (_keys(each.get("dispatch") or {}), each.get("structured_delegate"))
        for each in declared
    }


def _keys(dispatch: Iterable[str]) -> set[str]:
    return {key.strip() for keys in dispatch for key in keys.split(",")}


def has_kernel(name: str) -> bool:
    """Whether the operator runs on MPS in the torch that is installed."""
    kernels = _kernels()
    short = name.removeprefix("aten::").removesuffix(".default")
    if not name.startswith("aten::") or short not in kernels:
        return False
    keys, delegate = kernels[short]
    if delegate is not None:
        keys = keys | kernels[delegate][0]
    return not keys or "MPS" in keys or any(key.startswith("Composite") for key in keys)
