"""Options that the experiment commands share, and what they open: atlas, model and how to run."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Store as Store
from app.commands.options import parse_layers
from app.commands.store_access import check_atlas, settings_of
from app.errors import AppError
from app.studies.options import ComputeOptions

if TYPE_CHECKING:  # these load torch, which --help need not wait for
    from app.domain.experiments.records import StoredExperiment
    from app.domain.refs import HeadRef
    from app.studies.atlas import OpenAtlas
    from app.studies.experiments import ExperimentSetup

Model = Annotated[
    str, typer.Option(help="the model of the atlas: hub name, local folder, or smollm2-135m (embedded)")
]
Name = Annotated[str | None, typer.Option(help="the atlas's name; by default made from the model's name")]
Revision = Annotated[str | None, typer.Option(help="revision of a hub model")]
Heads = Annotated[str | None, typer.Option(help="heads, separated by commas: L5H1,5.5")]
Layer = Annotated[int | None, typer.Option(min=0, help="all heads of this layer")]
Sequences = Annotated[
    int, typer.Option("--n-sequences", min=1, help="sequences of the atlas's corpus to read, evenly spaced")
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="noun-digit, short-urls, succession, induction, duplicate-token, or proxy: and a predicate "
        "(induction, long-induction, duplicate-token, noun-digit, url) or regular expression; repeatable",
    ),
]
Prompts = Annotated[int, typer.Option("--n-prompts", min=2, help="prompts, or sequences of text, per task")]


@dataclass(frozen=True, kw_only=True)
class AtlasOptions:
    """An atlas by its model, its store and its name there."""

    model: Model
    store: Store = None
    name: Name = None


@dataclass(frozen=True, kw_only=True)
class ModelledAtlasOptions(AtlasOptions):
    """An atlas whose model is loaded too."""

    revision: Revision = None


def parse_heads(heads: str | None, layer: int | None, atlas: "OpenAtlas") -> "list[HeadRef]":
    """The heads of --heads or of --layer. Raises AppError where neither or both are given, or one is no head."""
    from app.domain.refs import HeadRef

    if (heads is None) == (layer is None):
        raise AppError("give either --heads, such as L5H1,5.5, or --layer")
    if layer is not None:
        return atlas.heads_of(layer)
    refs = [HeadRef.parse(part) for part in (heads or "").split(",")]
    atlas.check_heads(refs)
    return refs


@contextmanager
def opened_atlas(source: AtlasOptions) -> "Generator[OpenAtlas]":
    """The atlas that the options name. Raises AppError where there is no store or no such atlas in it."""
    from app.domain.slugs import check_slug, slugify

    slug = check_slug(source.name) if source.name else slugify(source.model)
    settings = settings_of(store=source.store)
    check_atlas("experiment", settings, slug)
    from app.studies.atlas import open_atlas

    with open_atlas(settings.store, slug) as atlas:
        yield atlas


def load_setup(
    atlas: "OpenAtlas", source: ModelledAtlasOptions, compute: ComputeOptions, n_sequences: int = 1
) -> "ExperimentSetup":
    """The atlas with its model, loaded as `compute` says. Raises InvalidExperiment for another model."""
    import torch

    from app.studies.atlas import ModelOptions, load_atlas_model
    from app.studies.experiments import ExperimentSetup

    if compute.threads is not None:
        torch.set_num_threads(compute.threads)
    chosen = ModelOptions(
        source.model,
        settings_of().cache_dir,
        source.revision,
        processing=None if compute.processing == "auto" else compute.processing,
        device=compute.device,
        dtype=compute.dtype,
    )
    return ExperimentSetup(atlas, load_atlas_model(atlas, chosen), n_sequences, compute)


def layers_of(text: str | None, atlas: "OpenAtlas") -> tuple[int, ...]:
    """The layers asked for, or every layer with an SAE."""
    return parse_layers(text) or tuple(sae.layer for sae in atlas.run.record.saes)


def say(stored: "StoredExperiment") -> None:
    """Print the finding of a stored experiment, and where to see it."""
    request, took = stored.request, stored.seconds or 0.0
    typer.echo(f"{request.name} {stored.id}: {stored.finding}")
    typer.echo(f"{took:.0f} s; see /{request.atlas}/experiments/{stored.id}")
