"""Experiments on the heads of an atlas, a command each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from app.commands.experiment_options import (
    Again,
    AtlasOptions,
    Examples,
    Heads,
    Layer,
    Length,
    MaxPrefix,
    MinGain,
    Model,
    Modes,
    OneShare,
    Prompts,
    Revision,
    Seed,
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
from app.errors import AppError
from app.studies.options import ComputeOptions

if TYPE_CHECKING:
    from app.domain.experiments.ablation import Mode

experiment = typer.Typer(
    no_args_is_help=True,
    help="Test what annotations claim. Results are stored with the atlas and shown under /{model}/experiments.",
)
DEFAULT_TASKS = ("noun-digit", "short-urls", "succession", "induction", "duplicate-token", "proxy:induction")


@experiment.command("long-prefix-induction")
@with_options
def long_prefix_induction(
    *,
    model: Model,
    heads: Heads = None,
    layer: Layer = None,
    source: AtlasOptions,
    revision: Revision = None,
    n_sequences: Sequences = 128,
    n_examples: Examples = 60,
    max_prefix: MaxPrefix = 9,
    length: Length = 48,
    threshold: Annotated[float, typer.Option(help="attention that counts in natural text")] = 0.3,
    n_corrupted: Annotated[int, typer.Option(min=1, help="natural examples to corrupt")] = 100,
    min_gain: MinGain = 0.1,
    max_one_share: OneShare = 0.5,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Test whether heads need one matching token to attend by induction, or two or more."""
    with opened_atlas(model, source) as atlas:
        refs = parse_heads(heads, layer, atlas)
        from app.domain.experiments.long_prefix import LongPrefixParameters, VerdictRule
        from app.studies.experiments import run_long_prefix

        parameters = LongPrefixParameters(
            max_prefix=max_prefix, n_examples=n_examples, n_logit_examples=min(16, n_examples), length=length,
            threshold=threshold, max_corrupted=n_corrupted, seed=seed, rule=VerdictRule(min_gain, max_one_share),
        )  # fmt: skip
        setup = load_setup(atlas, model, revision, compute, n_sequences)
        say(run_long_prefix(setup, refs, parameters))


@experiment.command("head-ablation")
@with_options
def head_ablation(
    *,
    model: Model,
    layer: Annotated[int, typer.Option(min=0, help="the layer whose heads are ablated, one at a time")],
    task: Tasks = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(help='JSON lines such as {"text": "The bus 7, and the bus[[ 7]]"}; repeatable'),
    ] = None,
    modes: Modes = "zero,mean,resample",
    source: AtlasOptions,
    revision: Revision = None,
    n_prompts: Prompts = 60,
    n_sequences: Sequences = 128,
    n_draws: Annotated[int, typer.Option(min=1, help="draws of resample ablation")] = 3,
    min_spreads: Annotated[
        float, typer.Option(help="spreads above the layer's median that a head's change needs to stand out")
    ] = 3.5,
    min_change: Annotated[float, typer.Option(help="nats that a head's change needs to stand out")] = 0.05,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Measure the change in loss on task families when each head of a layer is ablated."""
    with opened_atlas(model, source) as atlas:
        atlas.heads_of(layer)
        from app.domain.experiments.ablation import AblationParameters
        from app.studies.experiments import run_ablation
        from app.studies.task_choice import TaskChoice

        prompt_files = tuple(prompts or ())
        names = tuple(task or (() if prompt_files else DEFAULT_TASKS))
        chosen = TaskChoice(tuple(dict.fromkeys(names)), prompt_files, n_prompts, seed)
        chosen.check()
        parameters = AblationParameters(
            modes=_modes(modes), n_draws=n_draws, min_spreads=min_spreads, min_change=min_change, seed=seed
        )
        setup = load_setup(atlas, model, revision, compute, n_sequences)
        say(run_ablation(setup, layer, chosen, parameters))


@experiment.command("known-heads")
@with_options
def known_heads(
    *,
    model: Model,
    source: AtlasOptions,
    revision: Revision = None,
    n_sequences: Sequences = 64,
    n_repeated: Annotated[int, typer.Option(min=1, help="sequences of repeated random tokens")] = 64,
    length: Annotated[
        int, typer.Option(min=2, help="random tokens in a sequence, before their repetition")
    ] = 64,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Run detectors of well-known kinds of heads on every head, and score them against reference lists."""
    with opened_atlas(model, source) as atlas:
        from app.domain.experiments.known_heads import KnownHeadParameters
        from app.studies.experiments import run_known_heads

        parameters = KnownHeadParameters(n_repeated, length, seed=seed)
        setup = load_setup(atlas, model, revision, compute, n_sequences)
        say(run_known_heads(setup, parameters))


@experiment.command("weight-vs-fve")
@with_options
def weight_vs_fve(
    *,
    model: Model,
    layers: Annotated[
        str | None, typer.Option(help="layers: 5,6 or 5-7; default every one with an SAE")
    ] = None,
    source: AtlasOptions,
    k: Annotated[int, typer.Option(min=1, help="features in each head's lists")] = 10,
    min_correlation: Annotated[float, typer.Option(help="the ranking matters below this correlation")] = 0.5,
    min_overlap: Annotated[int, typer.Option(help="and below so many features in both lists")] = 6,
    again: Again = False,
) -> None:
    """Compare decoder weight share with FVE for each head, from the store alone: no model is loaded."""
    with opened_atlas(model, source) as atlas:
        chosen = layers_of(layers, atlas)
        from app.domain.experiments.rankings import RankingParameters
        from app.studies.experiments import run_rankings

        if not chosen:
            raise AppError(f"the atlas {atlas.run.slug} has no SAE, so there are no features to rank")
        parameters = RankingParameters(k, min_correlation, min_overlap)
        for layer in chosen:
            say(run_rankings(atlas, layer, parameters, ComputeOptions(again=again)))


@experiment.command("universality")
@with_options
def universality(
    *,
    model: Model,
    source: AtlasOptions,
    revision: Revision = None,
    n_examples: Examples = 60,
    max_prefix: MaxPrefix = 4,
    length: Length = 32,
    min_gain: MinGain = 0.1,
    max_one_share: OneShare = 0.5,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Find the long-prefix and standard induction heads among all heads of a model."""
    with opened_atlas(model, source) as atlas:
        from app.domain.experiments.long_prefix import VerdictRule
        from app.domain.experiments.scan import ScanParameters
        from app.studies.experiments import run_universality

        rule = VerdictRule(min_gain, max_one_share)
        parameters = ScanParameters(max_prefix, n_examples, length, seed, rule)
        setup = load_setup(atlas, model, revision, compute)
        say(run_universality(setup, parameters))


@experiment.command("polysemanticity")
@with_options
def polysemanticity(
    *,
    model: Model,
    head: Annotated[str, typer.Option(help="the head, such as L5H1")],
    roles: Annotated[
        str | None, typer.Option(help="roles between commas; default those of submitted annotations")
    ] = None,
    modes: Modes = "zero,mean,resample",
    source: AtlasOptions,
    revision: Revision = None,
    n_prompts: Prompts = 60,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Test whether ablating a head hurts the task of each role that it is annotated with."""
    with opened_atlas(model, source) as atlas:
        [ref] = parse_heads(head.split(",")[0], None, atlas)
        from app.domain.experiments.ablation import AblationParameters
        from app.studies.experiments import run_polysemanticity
        from app.studies.roles import roles_of

        parameters = AblationParameters(modes=_modes(modes), seed=seed)
        chosen = roles_of(atlas, ref, roles)
        setup = load_setup(atlas, model, revision, compute)
        say(run_polysemanticity(setup, ref, chosen, n_prompts, parameters))


@experiment.command("feature-check")
@with_options
def feature_check(
    *,
    model: Model,
    feature: Annotated[str, typer.Option(help="the feature, such as L17F803")],
    proxy: Annotated[str, typer.Option(help="predicate or regular expression that should select its tokens")],
    sae_path: SaePaths = None,
    release: Annotated[str | None, typer.Option(help="SAE release of the sae_lens registry")] = None,
    sae_id: Annotated[str | None, typer.Option(help="id in the release")] = None,
    n_intervals: Annotated[int, typer.Option(min=1, help="intervals of activation")] = 10,
    source: AtlasOptions,
    revision: Revision = None,
    n_sequences: Sequences = 256,
    seed: Seed = 0,
    compute: ComputeOptions,
) -> None:
    """Measure a feature's specificity and sensitivity for a proxy, over intervals of activation."""
    with opened_atlas(model, source) as atlas:
        from app.domain.experiments.feature_check import FeatureCheckParameters
        from app.domain.refs import FeatureRef
        from app.studies.experiments import run_feature_check
        from app.studies.saes import sae_of
        from app.studies.task_choice import find_predicate

        ref = FeatureRef.parse(feature)
        find_predicate(proxy)
        sae = sae_of(atlas, ref, tuple(sae_path or ()), release, sae_id)
        setup = load_setup(atlas, model, revision, compute, n_sequences)
        say(run_feature_check(setup, sae, ref, proxy, FeatureCheckParameters(n_intervals, seed)))


def _modes(text: str) -> "tuple[Mode, ...]":
    """The kinds of ablation of --modes. AblationParameters refuses those that are none."""
    return cast("tuple[Mode, ...]", tuple(part.strip() for part in text.split(",") if part.strip()))
