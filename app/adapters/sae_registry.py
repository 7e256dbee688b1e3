"""Names of published SAEs: resolved offline in the library's registry, up to the download."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from app.adapters.language_model import Processing
from app.adapters.sae_checks import describe_hook
from app.adapters.sae_sources import ReleaseSae, one_line
from app.errors import InvalidSae

# The weights file of each loader that can hold an SAE on hook_z; {path} is the registry's path.
WEIGHTS_FILES: Mapping[str, str] = {
    "sae_lens": "{path}/sae_weights.safetensors",
    "connor_rob_hook_z": "{path}",
    "gemma_2": "{path}/params.npz",
    "gemma_3": "{path}/params.safetensors",
}
# How the model was prepared for training, where the publisher says so. These were trained on TransformerLens
# with folded layer norms and value biases, and on the untouched model.
_PROCESSED_REPOS = ("ckkissane/attn-saes-gpt2-small-all-layers",)
_RAW_REPO_PREFIXES = ("google/gemma-scope-",)


@runtime_checkable
class RegistryEntry(Protocol):
    """One release of the registry. Every mapping is from SAE id."""

    repo_id: str
    model: str
    conversion_func: str | None
    saes_map: dict[str, str]
    expected_l0: dict[str, float]
    neuronpedia_id: dict[str, str]
    norm_scaling_factor: dict[str, float]


@dataclass(frozen=True)
class ResolvedSae:
    """Where a published SAE is, and what the registry says about it."""

    release: str
    sae_id: str
    repo_id: str
    path: str
    loader: str
    neuronpedia_id: str | None = None
    published_l0: float | None = None
    normalize_factor: float | None = None

    @property
    def name(self) -> str:
        return f"{self.release}/{self.sae_id}"

    @property
    def weights_file(self) -> str:
        return WEIGHTS_FILES[self.loader].format(path=self.path)

    @property
    def processing(self) -> Processing | None:
        if self.repo_id in _PROCESSED_REPOS:
            return "processed"
        return "raw" if self.repo_id.startswith(_RAW_REPO_PREFIXES) else None


def resolve_in(registry: Mapping[str, RegistryEntry], release: str, sae_id: str) -> ResolvedSae:
    """The place of a published SAE. Raises InvalidSae where the registry has none or says it is not on hook_z."""
    entry = registry.get(release)
    if entry is None:
        return _unregistered(registry, release, sae_id)
    if sae_id not in entry.saes_map:
        nearest = _nearest(sae_id, entry.saes_map)
        raise InvalidSae(f"release {release} has no SAE {_quoted(sae_id)}; the nearest are {nearest}")
    resolved = ResolvedSae(
        release=release,
        sae_id=sae_id,
        repo_id=entry.repo_id,
        path=entry.saes_map[sae_id],
        loader=entry.conversion_func or "sae_lens",
        neuronpedia_id=entry.neuronpedia_id.get(sae_id),
        published_l0=_number(entry.expected_l0.get(sae_id)),
        normalize_factor=_number(entry.norm_scaling_factor.get(sae_id)),
    )
    _refuse_other_sites(resolved)
    return resolved


def find_neuronpedia_id(registry: Mapping[str, RegistryEntry], neuronpedia_id: str) -> ReleaseSae:
    """The SAE with that Neuronpedia id. Raises InvalidSae where no registered SAE has it."""
    saes_by_id = {
        neuronpedia: ReleaseSae(release, sae_id)
        for release, entry in registry.items()
        for sae_id, neuronpedia in entry.neuronpedia_id.items()
        if neuronpedia
    }
    cleaned = neuronpedia_id.strip().strip("/")
    if cleaned not in saes_by_id:
        nearest = _nearest(cleaned, saes_by_id)
        raise InvalidSae(
            f"no registered SAE has the Neuronpedia id {_quoted(neuronpedia_id)}; the nearest are {nearest}"
        )
    return saes_by_id[cleaned]


def _unregistered(registry: Mapping[str, RegistryEntry], release: str, sae_id: str) -> ResolvedSae:
    """The place of an SAE in a hub repository of the library's own layout, named directly with a folder as id."""
    owner, slash, repo = release.partition("/")
    if not slash:
        raise InvalidSae(
            f"there is no SAE release {_quoted(release)}; the nearest are {_nearest(release, registry)}"
        )
    parts = sae_id.split("/")
    if not owner or not repo or "/" in repo or any(part in ("", ".", "..") for part in (*parts, owner, repo)):
        raise InvalidSae(
            f"{_quoted(f'{release} {sae_id}')} does not name a hub repository and a folder in it"
        )
    return ResolvedSae(release, sae_id, release, sae_id, "sae_lens")


def _refuse_other_sites(resolved: ResolvedSae) -> None:
    """Refuse an SAE that the registry says is not on hook_z, before anything is downloaded.

    This only ever refuses: the hook of an accepted SAE is read from its config, since ids are not hook names.
    """
    match resolved.loader:
        case "sae_lens" if "hook_" in resolved.sae_id and "hook_z" not in resolved.sae_id:
            site = describe_hook(resolved.sae_id)
        case "gemma_2" if not resolved.repo_id.endswith("-att"):
            site = "the residual stream or the MLP"
        case "gemma_3" if not resolved.path.startswith("attn_out"):
            site = "the residual stream or the MLP"
        case loader if loader not in WEIGHTS_FILES:
            site = f"a place other than attention heads (its loader is {loader})"
        case _:
            return
    raise InvalidSae(f"SAE {resolved.name} cannot be used: it reads {site}, not attn.hook_z")


def _number(value: int | float | None) -> float | None:
    """A number of the registry, which writes 0 where it does not know."""
    return float(value) if value else None


def _nearest(text: str, ids: Iterable[str]) -> str:
    names = list(ids)
    return ", ".join(get_close_matches(text[:200], names, n=3, cutoff=0.3) or names[:3])


def _quoted(text: str) -> str:
    return repr(one_line(text, 120))
