"""Commands that run experiments on the heads of an atlas."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.experiment_options import (
    AtlasOptions,
    Heads,
    Layer,
    ModelledAtlasOptions,
    Prompts,
    Sequences,
    Tasks,
    layers_of,
    load_setup,
    opened_atlas,
    parse_heads,
    say,
)
from app.commands.option_groups import with_options
from app.commands.options import SaePaths
from app.domain.experiments.ablation import (
    DEFAULT_TASKS,
    HEAD_ABLATION,
    N_PROMPTS,
    POLYSEMANTICITY,
    AblationParameters,
)
from app.domain.experiments.feature_check import FEATURE_CHECK, FeatureCheckParameters
from app.domain.experiments.known_heads import KNOWN_HEADS, KnownHeadParameters
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixParameters
from app.domain.experiments.rankings import WEIGHT_VS_FVE, RankingParameters
from app.domain.experiments.scan import UNIVERSALITY, ScanParameters
from app.errors import AppError
from app.studies.options import ComputeOptions, PassOptions, ResultOptions

experiment = typer.Typer(
    no_args_is_help=True,
    help="Test what annotations claim. Results are stored with the atlas and shown under /{model}/experiments.",
)


@experiment.command(LONG_PREFIX_INDUCTION.name, help=LONG_PREFIX_INDUCTION.purpose)
@with_options
def long_prefix_induction(
    *,
    source: ModelledAtlasOptions,
    heads: Heads = None,
    layer: Layer = None,
    n_sequences: Sequences = LONG_PREFIX_INDUCTION.n_sequences,
    parameters: LongPrefixParameters,
    compute: ComputeOptions,
) -> None:
    with opened_atlas(source) as atlas:
        refs = parse_heads(heads, layer, atlas)
        from app.studies.experiments import run_long_prefix

        say(run_long_prefix(load_setup(atlas, source, compute, n_sequences), refs, parameters))


@experiment.command(HEAD_ABLATION.name, help=HEAD_ABLATION.purpose)
@with_options
def head_ablation(
    *,
    source: ModelledAtlasOptions,
    layer: Annotated[int, typer.Option(min=0, help="the layer whose heads are ablated, one at a time")],
    task: Tasks = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(help='JSON lines such as {"text": "The bus 7, and the bus[[ 7]]"}; repeatable'),
    ] = None,
    n_prompts: Prompts = N_PROMPTS,
    n_sequences: Sequences = HEAD_ABLATION.n_sequences,
    parameters: AblationParameters,
    compute: ComputeOptions,
) -> None:
    with opened_atlas(source) as atlas:
        atlas.heads_of(layer)
        from app.studies.experiments import run_ablation
        from app.studies.task_choice import TaskChoice

        prompt_files = tuple(prompts or ())
        names = tuple(task or (() if prompt_files else DEFAULT_TASKS))
        chosen = TaskChoice(tuple(dict.fromkeys(names)), prompt_files, n_prompts, parameters.seed)
        chosen.check()
        say(run_ablation(load_setup(atlas, source, compute, n_sequences), layer, chosen, parameters))


@experiment.command(KNOWN_HEADS.name, help=KNOWN_HEADS.purpose)
@with_options
def known_heads(
    *,
    source: ModelledAtlasOptions,
    n_sequences: Sequences = KNOWN_HEADS.n_sequences,
    parameters: KnownHeadParameters,
    compute: ComputeOptions,
) -> None:
    with opened_atlas(source) as atlas:
        from app.studies.experiments import run_known_heads

        say(run_known_heads(load_setup(atlas, source, compute, n_sequences), parameters))


@experiment.command(WEIGHT_VS_FVE.name, help=WEIGHT_VS_FVE.purpose)
@with_options
def weight_vs_fve(
    *,
    source: AtlasOptions,
    layers: Annotated[
        str | None, typer.Option(help="layers: 5,6 or 5-7; default every layer with an SAE")
    ] = None,
    parameters: RankingParameters,
    options: ResultOptions,
) -> None:
    with opened_atlas(source) as atlas:
        chosen = layers_of(layers, atlas)
        from app.studies.experiments import run_rankings

        if not chosen:
            raise AppError(f"the atlas {atlas.run.slug} has no SAE, so there are no features to rank")
        for layer in chosen:
            say(run_rankings(atlas, layer, parameters, PassOptions(again=options.again)))


@experiment.command(UNIVERSALITY.name, help=UNIVERSALITY.purpose)
@with_options
def universality(
    *, source: ModelledAtlasOptions, parameters: ScanParameters, compute: ComputeOptions
) -> None:
    with opened_atlas(source) as atlas:
        from app.studies.experiments import run_universality

        say(run_universality(load_setup(atlas, source, compute), parameters))


@experiment.command(POLYSEMANTICITY.name, help=POLYSEMANTICITY.purpose)
@with_options
def polysemanticity(
    *,
    source: ModelledAtlasOptions,
    head: Annotated[str, typer.Option(help="the head, such as L5H1")],
    roles: Annotated[
        str | None,
        typer.Option(help="roles, separated by commas; default the roles in submitted annotations"),
    ] = None,
    n_prompts: Prompts = N_PROMPTS,
    parameters: AblationParameters,
    compute: ComputeOptions,
) -> None:
    with opened_atlas(source) as atlas:
        [ref] = parse_heads(head.split(",")[0], None, atlas)
        from app.studies.experiments import run_polysemanticity
        from app.studies.roles import roles_of

        chosen = roles_of(atlas, ref, roles)
        say(run_polysemanticity(load_setup(atlas, source, compute), ref, chosen, n_prompts, parameters))


@experiment.command(FEATURE_CHECK.name, help=FEATURE_CHECK.purpose)
@with_options
def feature_check(
    *,
    source: ModelledAtlasOptions,
    feature: Annotated[str, typer.Option(help="the feature, such as L17F803")],
    proxy: Annotated[str, typer.Option(help="predicate or regular expression that should select its tokens")],
    sae_path: SaePaths = None,
    release: Annotated[str | None, typer.Option(help="SAE release of the sae_lens registry")] = None,
    sae_id: Annotated[str | None, typer.Option(help="id in the release")] = None,
    n_sequences: Sequences = FEATURE_CHECK.n_sequences,
    parameters: FeatureCheckParameters,
    compute: ComputeOptions,
) -> None:
    with opened_atlas(source) as atlas:
        from app.domain.refs import FeatureRef
        from app.studies.saes import sae_of
        from app.studies.task_choice import find_predicate

        ref = FeatureRef.parse(feature)
        find_predicate(proxy)
        sae = sae_of(atlas, ref, tuple(sae_path or ()), release, sae_id)
        from app.studies.experiments import run_feature_check

        say(run_feature_check(load_setup(atlas, source, compute, n_sequences), sae, ref, proxy, parameters))
