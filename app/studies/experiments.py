"""Running each experiment on an atlas: check its request, take inputs from the store, store its result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.adapters.interventions import InterventionModel
from app.adapters.sae_formats import LoadedSae
from app.domain.experiments.ablation import (
    HEAD_ABLATION,
    POLYSEMANTICITY,
    AblationParameters,
    HeadAblationResult,
    PolysemanticityResult,
)
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.feature_check import FEATURE_CHECK, FeatureCheckParameters, FeatureCheckResult
from app.domain.experiments.intervals import Resampling
from app.domain.experiments.known_heads import KNOWN_HEADS, KnownHeadParameters, KnownHeadsResult
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixParameters, LongPrefixResult
from app.domain.experiments.rankings import (
    WEIGHT_VS_FVE,
    RankingParameters,
    WeightVsFveResult,
    default_agreements,
)
from app.domain.experiments.records import StoredExperiment
from app.domain.experiments.scan import UNIVERSALITY, ScanParameters, UniversalityResult
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.experiments.checks import check_heads, check_length
from app.experiments.feature_check import ObservedFeature, feature_activations, feature_check
from app.experiments.head_ablation import head_ablation
from app.experiments.known_heads import known_heads
from app.experiments.long_prefix_induction import long_prefix_induction
from app.experiments.natural_text import Text
from app.experiments.polysemanticity import polysemanticity, role_tasks
from app.experiments.progress import Batching
from app.experiments.universality import universality
from app.experiments.weight_vs_fve import weight_vs_fve
from app.studies.atlas import OpenAtlas
from app.studies.options import PassOptions
from app.studies.running import request_for, run_experiment
from app.studies.scoreboards import scoreboards
from app.studies.task_choice import TaskChoice, find_predicate


@dataclass(frozen=True)
class ExperimentSetup:
    """An atlas with its model, how many sequences of its text to read, and the compute options."""

    atlas: OpenAtlas
    model: InterventionModel
    n_sequences: int = 128
    options: PassOptions = PassOptions()  # noqa: RUF009 - frozen

    def text(self) -> Text:
        """The text to read. Raises InvalidExperiment if the model cannot read it."""
        text = self.atlas.text(self.n_sequences)
        text.check(self.model)
        return text


def run_long_prefix(
    setup: ExperimentSetup, heads: Sequence[HeadRef], parameters: LongPrefixParameters
) -> StoredExperiment:
    """Run the long-prefix induction experiment on these heads, with random tokens and the atlas's text."""
    kind, atlas, model = LONG_PREFIX_INDUCTION, setup.atlas, setup.model
    check_heads(model, heads)
    check_length(model, parameters.length)
    text = setup.text()
    request = request_for(atlas, kind, parameters, model, setup.n_sequences, heads=tuple(heads))

    def compute(batching: Batching) -> LongPrefixResult:
        return long_prefix_induction(model, heads, text, parameters, batching)

    return run_experiment(atlas, kind, request, compute, setup.options)


def run_ablation(
    setup: ExperimentSetup, layer: int, tasks: TaskChoice, parameters: AblationParameters
) -> StoredExperiment:
    """Ablate every head of a layer, on each task."""
    kind, atlas, model = HEAD_ABLATION, setup.atlas, setup.model
    check_heads(model, [HeadRef(layer, 0)])
    prompts = tasks.make(model, setup.text())
    subject = {"layer": layer, "tasks": tuple(task.name for task in prompts), "n_prompts": tasks.n_prompts}
    request = request_for(atlas, kind, parameters, model, setup.n_sequences, **subject)

    def compute(batching: Batching) -> HeadAblationResult:
        return head_ablation(model, layer, prompts, parameters, batching)

    return run_experiment(atlas, kind, request, compute, setup.options)


def run_known_heads(setup: ExperimentSetup, parameters: KnownHeadParameters) -> StoredExperiment:
    """Run every detector on every head, and compare with published and annotated roles."""
    kind, atlas, model = KNOWN_HEADS, setup.atlas, setup.model
    text = setup.text()
    request = request_for(atlas, kind, parameters, model, setup.n_sequences)

    def compute(batching: Batching) -> KnownHeadsResult:
        result = known_heads(model, text, parameters, batching)
        return replace(result, scoreboards=scoreboards(atlas, result.detected()))

    return run_experiment(atlas, kind, request, compute, setup.options)


def run_rankings(
    atlas: OpenAtlas, layer: int, parameters: RankingParameters, options: PassOptions
) -> StoredExperiment:
    """Compare decoder weight share with FVE over a layer's stored features. Needs no model."""
    features, heads = atlas.features(layer), atlas.heads_of(layer)
    request = request_for(atlas, WEIGHT_VS_FVE, parameters, None, layer=layer)
    correlations = {record.ref: record.rank_correlation for record in atlas.head_records()}

    def compute(_batching: Batching) -> WeightVsFveResult:
        # The store has the default definition's correlation over all live features, free of the choice of stored ones.
        result = weight_vs_fve(features, heads, parameters)
        by_head = default_agreements(result)
        agreements = [
            agreement.over_all_features(correlations.get(agreement.head), parameters)
            if by_head[agreement.head] is agreement
            else agreement
            for agreement in result.agreements
        ]
        return replace(result, agreements=tuple(agreements))

    return run_experiment(atlas, WEIGHT_VS_FVE, request, compute, options)


def run_universality(setup: ExperimentSetup, parameters: ScanParameters) -> StoredExperiment:
    """Scan every head of the model for induction and the gain from longer prefixes."""
    check_length(setup.model, parameters.length)
    request = request_for(setup.atlas, UNIVERSALITY, parameters, setup.model)

    def compute(batching: Batching) -> UniversalityResult:
        return universality(setup.model, parameters, batching)

    return run_experiment(setup.atlas, UNIVERSALITY, request, compute, setup.options)


def run_polysemanticity(
    setup: ExperimentSetup,
    head: HeadRef,
    roles: Sequence[str],
    n_prompts: int,
    parameters: AblationParameters,
) -> StoredExperiment:
    """Ablate a head on the task of each of its roles."""
    kind, atlas, model = POLYSEMANTICITY, setup.atlas, setup.model
    check_heads(model, [head])
    tasks = role_tasks(model, roles, n_prompts, parameters.seed)
    subject = {"heads": (head,), "roles": tuple(roles), "n_prompts": n_prompts}
    request = request_for(atlas, kind, parameters, model, **subject)

    def compute(batching: Batching) -> PolysemanticityResult:
        return polysemanticity(model, head, roles, tasks, parameters, batching)

    return run_experiment(atlas, kind, request, compute, setup.options)


def run_feature_check(
    setup: ExperimentSetup,
    sae: LoadedSae,
    feature: FeatureRef,
    proxy: str,
    parameters: FeatureCheckParameters,
) -> StoredExperiment:
    """Compare a feature with a proxy on the atlas's text."""
    kind, atlas, model = FEATURE_CHECK, setup.atlas, setup.model
    check_sae(atlas, sae, feature)
    predicate, text = find_predicate(proxy), setup.text()
    vocabulary: Vocabulary = model.tokenizer.vocabulary(model.record.d_vocab)
    subject = {"feature": feature, "sae": sae.checksum[:16], "proxy": proxy}
    request = request_for(atlas, kind, parameters, model, setup.n_sequences, **subject)

    def compute(batching: Batching) -> FeatureCheckResult:
        activation = feature_activations(model, sae.coder, feature, text, batching)
        observed = ObservedFeature(activation, predicate(text.tokens, vocabulary), text.counted)
        return feature_check(
            feature, observed, proxy, parameters.n_intervals, Resampling(seed=parameters.seed)
        )

    return run_experiment(atlas, kind, request, compute, setup.options)


def check_sae(atlas: OpenAtlas, sae: LoadedSae, feature: FeatureRef) -> None:
    """Raise InvalidExperiment if the SAE is not the atlas's, or does not have the feature."""
    record = next((each for each in atlas.run.record.saes if each.layer == feature.layer), None)
    if record is None or sae.layer != feature.layer or sae.checksum != record.checksum:
        raise InvalidExperiment(
            f"{sae.name} is not the SAE that the atlas {atlas.run.slug} was made with for layer {feature.layer}"
        )
    if not 0 <= feature.index < record.d_sae:
        raise InvalidExperiment(f"{sae.name} has no feature {feature}: it has {record.d_sae}")
    planned = atlas.plan.saes if atlas.plan else ()
    if any(one.layer == sae.layer and one.identity not in ("", sae.identity) for one in planned):
        raise InvalidExperiment(
            f"{sae.name} has the weights of the SAE that the atlas {atlas.run.slug} was made with, and another config"
        )
