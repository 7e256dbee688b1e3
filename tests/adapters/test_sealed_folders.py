"""A sealed folder is opened only when every byte is as it was written."""

import json
from pathlib import Path

import pytest

from app.adapters.sealed_folders import DamagedFolder, read_sealed_folder, seal_folder, whole_folder

MANIFEST = "manifest.json"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "sealed"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(50)))
    (folder / "b.txt").write_text("zwölf")
    (folder / "inner").mkdir()
    (folder / "inner" / "c.bin").write_bytes(b"deeper")
    seal_folder(folder, MANIFEST, {"name": "näme", "n": 3})
    return folder


def test_facts_come_back(sealed: Path) -> None:
    facts = read_sealed_folder(sealed, MANIFEST)
    assert (facts["name"], facts["n"], sorted(facts["files"])) == (
        "näme",
        3,
        ["a.bin", "b.txt", "inner/c.bin"],
    )
    assert sorted(path.name for path in sealed.iterdir()) == ["a.bin", "b.txt", "inner", MANIFEST]


def test_every_bit_counts(sealed: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in [path for path in sealed.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            caplog.clear()
            assert whole_folder(sealed, MANIFEST) is None, (path, at)
            assert len(caplog.messages) == 1
            assert caplog.messages[0].endswith(", and is made again")
        path.write_bytes(whole)
    assert whole_folder(sealed, MANIFEST) is not None


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{}", b'{"files": []}', b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none_is_told_of(sealed: Path, content: bytes) -> None:
    (sealed / MANIFEST).write_bytes(content)
    with pytest.raises(DamagedFolder):
        read_sealed_folder(sealed, MANIFEST)


@pytest.mark.parametrize("name", ["a.bin", MANIFEST])
def test_folders_and_holes_in_place_of_files_are_told_of(sealed: Path, name: str) -> None:
    (sealed / name).unlink()
    with pytest.raises(DamagedFolder, match=str(sealed)):
        read_sealed_folder(sealed, MANIFEST)
    (sealed / name).mkdir()
    with pytest.raises(DamagedFolder, match=f"{name} cannot be read"):
        read_sealed_folder(sealed, MANIFEST)


def test_nothing_is_said_of_a_folder_that_is_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    assert whole_folder(tmp_path / "none", MANIFEST) is None
    assert whole_folder(tmp_path / "empty", MANIFEST) is None
    assert caplog.messages == []


def test_a_manifest_of_an_earlier_version_is_told_of(sealed: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sealed / MANIFEST).write_text(json.dumps({"name": "text", "bos_token_id": 0}))
    assert whole_folder(sealed, MANIFEST) is None
    assert caplog.messages == [f"{sealed} is incomplete, or of an earlier version, and is made again"]
