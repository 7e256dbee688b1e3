"""A hub that refuses, lacks, hangs or is off: one sentence with what to do, in five seconds. All on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from app.adapters.hub import ask_for_model, hub_cause
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from app.errors import InvalidModel
from tests.support.time_limits import less_than

NAME = "someone/model"
Serve = Callable[[int, str], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """serve(status, code): a hub that answers everything with this."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, code: str) -> None:
        class Answer(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{servers[-1].server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "is gated: accept its terms at .*set HF_TOKEN"),
        (
            404,
            "RepoNotFound",
            "the hub has no someone/model: check the name; a private repository needs HF_TOKEN",
        ),
        (
            401,
            "RepoNotFound",
            "the hub has no someone/model: check the name; a private repository needs HF_TOKEN",
        ),
        (404, "RevisionNotFound", "has no revision 'v9': name a branch, tag or commit"),
        (500, "", "does not answer for someone/model: check the network, or set HF_HUB_OFFLINE=1"),
    ],
)
def test_a21_a_hub_that_refuses_is_told_in_a_sentence(
    serve: Serve, tmp_path: Path, status: int, code: str, said: str
) -> None:
    serve(status, code)
    with less_than(5), pytest.raises(InvalidModel, match=said) as caught:
        load_model(find_model(NAME, tmp_path, "v9" if code == "RevisionNotFound" else None))
    assert "\n" not in str(caught.value)


def half_a_download(cache: Path, *shards: str) -> None:
    """The cache of a model of two shards, of which some are there."""
    snapshot = cache / "models--someone--model" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    (snapshot / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    for shard in shards:
        (snapshot / shard).write_bytes(b"cut short")


def test_half_a_download_is_asked_for_and_a_whole_one_is_not(cache: Path, serve: Serve) -> None:
    serve(403, "GatedRepo")
    half_a_download(cache, "model-1.safetensors")
    with pytest.raises(Exception, match="gated"):
        ask_for_model(NAME, None)
    (cache / "models--someone--model" / "snapshots" / ("0" * 40) / "model-2.safetensors").write_bytes(
        b"cut short"
    )
    ask_for_model(NAME, None)


def test_damaged_weights_of_the_cache_are_to_be_removed(cache: Path) -> None:
    class SafetensorError(Exception):
        pass

    error = RuntimeError("could not load")
    error.__cause__ = SafetensorError("incomplete metadata, file not fully covered")
    said = hub_cause(error, NAME)
    assert said == (
        f"its cached weights are damaged or half downloaded: remove {cache / 'models--someone--model'} and start again"
    )


def test_half_a_download_without_the_hub(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_a_download(cache)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = "HF_HUB_OFFLINE is set and someone/model is not whole in the cache"
    with less_than(5), pytest.raises(InvalidModel, match=said):
        load_model(find_model(NAME, tmp_path))
