"""The SAE of an atlas's layer, from the command line, or the one shipped with the embedded model."""

from pathlib import Path

from app.adapters.model_sources import EMBEDDED
from app.adapters.sae_formats import LoadedSae, LocalSae, ReleaseSae, load_sae
from app.demo import sae_folders
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import FeatureRef
from app.studies.atlas import OpenAtlas
from app.studies.experiments import check_sae


def sae_of(
    atlas: OpenAtlas, feature: FeatureRef, paths: tuple[Path, ...], release: str | None, sae_id: str | None
) -> LoadedSae:
    """The SAE of a feature's layer.

    Raises InvalidExperiment if it is missing or not the atlas's, and whatever load_sae raises.
    """
    if (release is None) != (sae_id is None):
        raise InvalidExperiment("--release and --sae-id must be given together")
    if release is not None and sae_id is not None:
        loaded = load_sae(ReleaseSae(release, sae_id), atlas.model)
    else:
        loaded = load_sae(LocalSae(_folder(atlas, feature, paths)), atlas.model)
    check_sae(atlas, loaded, feature)
    return loaded


def _folder(atlas: OpenAtlas, feature: FeatureRef, paths: tuple[Path, ...]) -> Path:
    if len(paths) > 1:
        raise InvalidExperiment(f"one SAE is needed, and {len(paths)} were given")
    if paths:
        return paths[0]
    shipped = sae_folders() if atlas.model.name == EMBEDDED else []
    for folder in shipped:
        if folder.name == f"layer_{feature.layer}":
            return folder
    raise InvalidExperiment(
        f"the SAE of layer {feature.layer} is needed: use --sae-path, or --release and --sae-id"
    )
