"""The Hugging Face hub, asked once before anything is fetched, and what went wrong with it in a sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub import errors as hub

from app.adapters.sae_sources import one_line

PROBE_TIMEOUT_S = 3.0
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_UNREACHED = (
    "ConnectError",
    "ConnectTimeout",
    "ReadTimeout",
    "ConnectionError",
    "Timeout",
    "ConnectTimeoutError",
)


def ask_for_model(repo_id: str, revision: str | None) -> None:
    """Ask the hub for a model once, unless it is cached whole or the hub is off: its own client retries for long.

    Raises what the hub's client does.
    """
    if not constants.HF_HUB_OFFLINE and not _is_cached(repo_id, revision):
        ask_for_repository(repo_id, revision)


def ask_for_repository(repo_id: str, revision: str | None = None) -> None:
    """Ask the hub once, for a short time, whether it has a repository. Raises what the hub's client does."""
    HfApi().model_info(repo_id, revision=revision, timeout=PROBE_TIMEOUT_S)


def _is_cached(repo_id: str, revision: str | None) -> bool:
    def cached(name: str) -> Path | None:
        path = try_to_load_from_cache(repo_id, name, revision=revision)
        return Path(path) if isinstance(path, str) else None

    if cached("config.json") is None:
        return False
    if any(cached(name) for name in _WEIGHTS):
        return True
    index = next(filter(None, map(cached, _SHARDED)), None)
    return index is not None and all(cached(name) for name in _shards(index))


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"no such file"}


def hub_cause(error: BaseException, repo_id: str, revision: str | None = None) -> str:
    """Why a repository could not be had, and what to do, in one sentence without a full stop."""
    chain = list(_chain(error))

    def raised(kind: type[BaseException]) -> bool:
        return any(isinstance(each, kind) for each in chain)

    if raised(hub.GatedRepoError):
        return (
            f"{repo_id} is gated: accept its terms at {constants.ENDPOINT}/{repo_id} with your account, and set "
            "HF_TOKEN to a token of that account"
        )
    if raised(hub.RevisionNotFoundError):
        return f"{repo_id} has no revision {revision or 'main'!r}: name a branch, tag or commit that it has"
    if raised(hub.RepositoryNotFoundError):
        return f"the hub has no {repo_id}: check the name; a private repository needs HF_TOKEN"
    if constants.HF_HUB_OFFLINE:
        return (
            f"HF_HUB_OFFLINE is set and {repo_id} is not whole in the cache: unset it where there is a network (a "
            "gated repository needs HF_TOKEN too), or download it there and copy the cache"
        )
    if any(type(each).__name__ in _UNREACHED for each in chain) or _is_server_error(chain):
        return (
            f"the hub at {constants.ENDPOINT} does not answer for {repo_id}: check the network, or set "
            "HF_HUB_OFFLINE=1 to use what is cached (a gated repository needs HF_TOKEN too)"
        )
    if any(type(each).__name__ == "SafetensorError" for each in chain):
        folder = Path(constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}"
        return f"its cached weights are damaged or half downloaded: remove {folder} and start again"
    return (
        f"{one_line(f'{type(error).__name__}: {error}', 200)} (check that {repo_id} is what you mean, the network, "
        "HF_TOKEN for gated repositories, and HF_HUB_OFFLINE)"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_server_error(chain: list[BaseException]) -> bool:
    responses = [getattr(each, "response", None) for each in chain if isinstance(each, hub.HfHubHTTPError)]
    return any(getattr(response, "status_code", 0) >= 500 for response in responses)
