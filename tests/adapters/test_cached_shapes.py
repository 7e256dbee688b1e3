"""Shapes of an SAE's tensors: read from the header of a cached file, asked for where none is cached."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from app.adapters import cached_shapes
from app.adapters.cached_shapes import shapes_from_cache


def test_a_cached_file_is_read_and_the_hub_is_asked_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({"w_enc": torch.zeros(3, 5), "b_enc": torch.zeros(5)}, tmp_path / "sae.safetensors")
    asked: list[tuple[str, str]] = []

    def ask(repo_id: str, filename: str) -> dict[str, list[int]]:
        asked.append((repo_id, filename))
        return {"of the hub": [1]}

    def in_cache(_: str, filename: str) -> str | None:
        path = tmp_path / filename
        return str(path) if path.exists() else None

    loaders = SimpleNamespace(get_safetensors_tensor_shapes=ask)
    monkeypatch.setattr(cached_shapes, "try_to_load_from_cache", in_cache)
    with shapes_from_cache(loaders):
        shapes = loaders.get_safetensors_tensor_shapes("someone/saes", "sae.safetensors")
        assert shapes == {"w_enc": [3, 5], "b_enc": [5]}
        assert asked == []
        assert loaders.get_safetensors_tensor_shapes("someone/saes", "other.safetensors") == {
            "of the hub": [1]
        }
        assert asked == [("someone/saes", "other.safetensors")]
    assert loaders.get_safetensors_tensor_shapes is ask


def test_the_library_gets_its_own_function_back_after_an_error() -> None:
    def ask(*_: str) -> None:
        raise AssertionError

    loaders = SimpleNamespace(get_safetensors_tensor_shapes=ask)
    with pytest.raises(OSError, match="no disk"), shapes_from_cache(loaders):
        raise OSError("no disk")
    assert loaders.get_safetensors_tensor_shapes is ask
