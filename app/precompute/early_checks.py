"""Checks of a request's SAEs by their configs and the model's, before any weights are read."""

from app.adapters.model_sources import ModelSource
from app.adapters.sae_checks import check_depth, check_name, layer_of
from app.adapters.sae_config import SaeConfig, parse_config
from app.adapters.sae_sources import LocalSae, folder_config, one_line
from app.errors import AppError
from app.precompute.request import JobRequest


def check_configs(request: JobRequest, source: ModelSource) -> None:
    """Check SAEs in folders against the model's name and depth, and --layers against them all. Raises AppError.

    SAEs of releases are checked once they are fetched, which needs the model.
    """
    layers: set[int] = set()
    n_layers = source.n_layers()
    for spec in request.saes:
        if not isinstance(spec, LocalSae):
            continue
        config = config_of(spec)
        layer = layer_of(config)
        check_name(config, source.name)
        if n_layers is not None:
            check_depth(config, layer, source.name, n_layers)
        layers.add(layer)
    if all(isinstance(spec, LocalSae) for spec in request.saes):
        check_layers(request.layers, layers)


def config_of(spec: LocalSae) -> SaeConfig:
    """The config of an SAE in a folder, without a look at its weights. Raises InvalidSae."""
    return parse_config(one_line(spec.path.resolve().name), folder_config(spec.path))


def check_layers(requested: tuple[int, ...] | None, with_sae: set[int]) -> None:
    """Raise AppError if --layers names a layer without an SAE."""
    if requested is not None and not with_sae:
        raise AppError("--layers chooses among the layers of SAEs, and no SAE was given")
    missing = sorted(set(requested or ()) - with_sae)
    if missing:
        those = ",".join(str(layer) for layer in sorted(with_sae))
        raise AppError(
            f"--layers asks for layer {missing[0]}, for which no SAE was given; SAEs were given for --layers {those}"
        )
