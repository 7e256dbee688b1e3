"""Files that are there and cannot be read as they should be: what is said of each, or what is left out."""

import json
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from app.adapters import hub, text_sources
from app.adapters.sae_sources import CONFIG_FILE, file_checksum, folder_config
from app.adapters.text_files import read_text
from app.adapters.text_sources import InstalledDocs
from app.errors import InvalidCorpus, InvalidSae

NAME = "someone/model"


def snapshot_of(cache: Path) -> Path:
    """The folder of a cached model's files."""
    snapshot = cache / "models--someone--model" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text("{}")
    return snapshot


def asked(monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[str]:
    """The repositories that the hub is asked for from now on."""
    names: list[str] = []
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "ask_for_repository", lambda name, *_: names.append(name))
    return names


def test_a_model_in_one_cached_file_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = asked(monkeypatch, tmp_path)
    (snapshot_of(tmp_path) / "model.safetensors").write_bytes(b"weights")
    hub.ask_for_model(NAME, None)
    assert names == []


@pytest.mark.parametrize("index", [b"{", b"[]", b"{}", json.dumps({"weight_map": 3}).encode()])
def test_a_damaged_list_of_shards_is_no_whole_model(
    index: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = asked(monkeypatch, tmp_path)
    (snapshot_of(tmp_path) / "model.safetensors.index.json").write_bytes(index)
    hub.ask_for_model(NAME, None)
    assert names == [NAME]


def test_an_error_that_is_no_kind_of_the_hubs_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    said = hub.hub_cause(RuntimeError("the\nmoon"), NAME)
    assert said.startswith("RuntimeError: the moon (check that someone/model is what you mean")


def test_folders_and_configs_of_saes_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidSae, match="does not exist or is not a folder"):
        folder_config(Path("x" * 5000))
    (tmp_path / "a" / CONFIG_FILE).mkdir(parents=True)
    with pytest.raises(InvalidSae, match="cannot be read: Is a directory"):
        folder_config(tmp_path / "a")
    with pytest.raises(InvalidSae, match="SAE file .* cannot be read: Is a directory"):
        file_checksum(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with (tmp_path / "b" / CONFIG_FILE).open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(InvalidSae, match="is larger than 10000000 bytes"):
        folder_config(tmp_path / "b")


def test_packed_text_without_the_library_that_unpacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corpus.txt.zst"
    path.write_bytes(bytes.fromhex("28b52ffd"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidCorpus, match="is packed with zstd, which pyarrow reads: pip install pyarrow"):
        read_text(path)


def test_docstrings_of_what_is_installed_leave_out_tests_broken_files_and_the_rest_of_a_large_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, site = tmp_path / "library", tmp_path / "site"
    monkeypatch.setattr(text_sources.sysconfig, "get_path", {"stdlib": library, "purelib": site}.__getitem__)
    monkeypatch.setattr(text_sources, "_CHARACTERS_PER_PACKAGE", 500)
    long = {name: f"{name} " * 60 for name in ("first", "second", "third", "small", "tests")}
    for path, text in (
        (library / "test" / "__init__.py", long["tests"]),
        (library / "small.py", long["small"]),
        (library / "copy.py", long["small"]),
        (site / "large" / "__init__.py", long["first"]),
        (site / "large" / "b.py", long["second"]),
        (site / "large" / "c.py", long["third"]),
        (site / "no_package" / "d.py", long["third"]),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{text}"""')
    (library / "broken.py").write_text("def (")
    (library / "brief.py").write_text('"""Brief."""')
    texts = [text.split(" ", 1)[0] for text in InstalledDocs().documents()]
    assert texts == ["small", "first", "second"]
