"""Reproduction of published figures of GPT-2 small with its released SAEs, by precompute and experiments."""

from dataclasses import dataclass

from app.adapters.sae_formats import load_sae
from app.adapters.sae_sources import ReleaseSae
from app.attribution.decoder_weights import decoder_weight_norm, decoder_weight_share
from app.domain.experiments.ablation import HEAD_ABLATION, AblationParameters
from app.domain.experiments.known_heads import KNOWN_HEADS, KnownHeadParameters
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixParameters
from app.domain.experiments.rankings import RankingParameters
from app.errors import AppError
from app.precompute.job import run_job
from app.precompute.request import JobRequest, RunOptions
from app.store.atlas.features import get_features
from app.store.atlas.reads import get_heads, get_ranking
from app.store.database.engine import read_session
from app.studies import anchors
from app.studies.anchors import Anchor
from app.studies.atlas import ModelOptions, OpenAtlas, load_atlas_model, open_atlas
from app.studies.experiments import (
    ExperimentSetup,
    run_ablation,
    run_known_heads,
    run_long_prefix,
    run_rankings,
)
from app.studies.options import ReproductionOptions
from app.studies.task_choice import TaskChoice

RELEASE = "gpt2-small-hook-z-kk"
TASKS = ("noun-digit", "short-urls")


@dataclass(frozen=True)
class Reproduction:
    """A request for a reproduction: its job, its store, and the sizes of its experiments."""

    job: JobRequest  # its SAEs are those of the release
    store: str
    options: ReproductionOptions


def release_saes(release: str = RELEASE) -> tuple[ReleaseSae, ...]:
    """The released SAEs of the layers that the published figures are about."""
    return tuple(ReleaseSae(release, f"blocks.{layer}.hook_z") for layer in anchors.SAE_LAYERS)


def reproduce(reproduction: Reproduction) -> list[Anchor]:
    """Bring the atlas up to date, run the experiments, and compare every figure.

    Raises whatever the job or an experiment raises.
    """
    run_job(reproduction.job, reproduction.store, RunOptions())
    with open_atlas(reproduction.store, reproduction.job.slug) as atlas:
        model = atlas.model
        if (model.n_layers, model.n_heads) != (12, 12):
            raise AppError(
                f"the published figures are of 12 layers of 12 heads, and {model.name} has "
                f"{model.n_layers} of {model.n_heads}"
            )
        return [
            *_from_saes(atlas, reproduction),
            *_from_store(atlas, reproduction),
            *_from_experiments(atlas, reproduction),
        ]


def _from_saes(atlas: OpenAtlas, reproduction: Reproduction) -> list[Anchor]:
    head = anchors.LARGEST_SHARE[0]
    spec = reproduction.job.saes[anchors.SAE_LAYERS.index(head.layer)]
    coder = load_sae(spec, atlas.model).coder
    shares = decoder_weight_share(decoder_weight_norm(coder.decoder_by_head))[:, head.head]
    return [anchors.largest_share(shares.tolist())]


def _from_store(atlas: OpenAtlas, reproduction: Reproduction) -> list[Anchor]:
    with read_session(atlas.engine) as session:
        heads = get_heads(session, atlas.run)
        ranking = get_ranking(session, atlas.run, anchors.ALL_INDUCTION, "decoder_weight", 10)
        refs = [ranked.ref for ranked in ranking.features]
        features = get_features(session, atlas.run, refs, with_examples=False)
    for head in (anchors.CORRELATED, anchors.NOT_CORRELATED):
        run_rankings(atlas, head.layer, RankingParameters(), reproduction.options)
    return [*anchors.rankings(heads), anchors.induction_features(features)]


def _from_experiments(atlas: OpenAtlas, reproduction: Reproduction) -> list[Anchor]:
    job = reproduction.job
    options = ModelOptions(job.model, job.cache_dir, job.revision, device=job.device, dtype=job.dtype)
    setup = ExperimentSetup(
        atlas, load_atlas_model(atlas, options), reproduction.options.n_sequences, reproduction.options
    )
    tasks = TaskChoice(TASKS, n_prompts=reproduction.options.n_task_prompts, seed=job.seed)
    ablation = run_ablation(
        setup, anchors.TWO_JOBS.layer, tasks, AblationParameters(modes=("zero",), seed=job.seed)
    )
    long = LongPrefixParameters(n_examples=reproduction.options.n_examples, seed=job.seed)
    induction = run_long_prefix(setup, (anchors.LONG, anchors.STANDARD), long)
    length = min(KnownHeadParameters().length, (setup.model.context_limit - 1) // 2)
    detection = run_known_heads(setup, KnownHeadParameters(length=length, seed=job.seed))
    return [
        *anchors.two_jobs(HEAD_ABLATION.unpack(ablation.result)),
        *anchors.long_and_standard(LONG_PREFIX_INDUCTION.unpack(induction.result)),
        *anchors.known_list(KNOWN_HEADS.unpack(detection.result)),
    ]
