"""Payloads that do not fit into memory wait in files, and are the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app.precompute.attach_payloads
from app.errors import AppError
from app.precompute.payload_parts import PayloadParts
from app.precompute.publish import Publisher
from app.statistics.payloads import Payloads
from tests.support.tiny_jobs import SLUG, Tiny, digest_of, make_tiny, run


def part(first_token: int) -> Payloads:
    feature, token = np.arange(5) % 3, np.arange(first_token, first_token + 5)
    return Payloads.of(feature, token, {"dfa": np.arange(10, dtype=np.float32).reshape(5, 2) + first_token})


def taken(folder: Path, memory_bytes: int) -> Payloads:
    parts = PayloadParts(folder, memory_bytes)
    for first_token in (0, 5, 10):
        parts.add(4, part(first_token))
        parts.add(7, part(first_token + 100))
    assert bool(list(folder.iterdir())) == (memory_bytes < 6 * (40 + 40))
    joined = parts.take(4)
    assert not list(folder.glob("payloads-L4-*"))
    assert not len(parts.take(4))
    assert len(parts.take(7)) == 15
    return joined


@pytest.mark.parametrize("memory_bytes", [0, 100, 250, 480])
def test_parts_in_files_are_those_in_memory(tmp_path: Path, memory_bytes: int) -> None:
    joined, expected = taken(tmp_path, memory_bytes), part(0).merge(part(5)).merge(part(10))
    assert joined.key.tolist() == expected.key.tolist()
    assert joined.columns["dfa"].tolist() == expected.columns["dfa"].tolist()
    assert joined.schema == expected.schema


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "folder"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    parts = PayloadParts(tmp_path, 0)
    parts.add(4, part(0))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 8
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "remove":
        path.write_bytes(content if damage == "flip" else content[:-40])
    with pytest.raises(AppError, match=rf"{path.name} is damaged or missing"):
        parts.take(4)


@pytest.mark.parametrize("features", ["all", "top"])
def test_a_run_without_room_in_memory_has_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: str
) -> None:
    tiny: Tiny = make_tiny(tmp_path_factory.mktemp("parts"), features=features)
    run(tiny, str(tmp_path / "memory.sqlite"), work_dir=tmp_path / "memory")
    monkeypatch.setattr(
        app.precompute.attach_payloads, "PayloadParts", lambda folder: PayloadParts(folder, 0)
    )
    left: list[str] = []
    real = Publisher.go_live

    def looking(self: Publisher, *arguments: Any) -> None:
        left.extend(path.name for path in (tmp_path / "files" / SLUG / "activations").glob("payloads-*"))
        real(self, *arguments)

    monkeypatch.setattr(Publisher, "go_live", looking)
    run(tiny, str(tmp_path / "files.sqlite"), work_dir=tmp_path / "files")
    assert digest_of(tmp_path / "files.sqlite") == digest_of(tmp_path / "memory.sqlite")
    assert left == []
