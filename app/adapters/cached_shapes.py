"""The shapes of an SAE's tensors from the cache: SAELens asks the hub for them even of a file that is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open


@contextmanager
def shapes_from_cache(loaders: Any) -> Iterator[None]:
    """Inside the `with`, SAELens's module of loaders reads a cached file's own header, so that no hub is needed."""
    ask = loaders.get_safetensors_tensor_shapes

    def shapes(repo_id: str, filename: str) -> dict[str, list[int]]:
        cached = try_to_load_from_cache(repo_id, filename)
        if not isinstance(cached, str):
            return ask(repo_id, filename)
        with safe_open(cached, framework="pt") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping

    loaders.get_safetensors_tensor_shapes = shapes
    try:
        yield
    finally:
        loaders.get_safetensors_tensor_shapes = ask
