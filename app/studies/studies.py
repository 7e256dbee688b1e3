"""Each experiment on an atlas: its parameters checked, its inputs taken from the store, its result stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from app.adapters.interventions import InterventionModel
from app.adapters.sae_formats import LoadedSae
from app.domain.experiments.ablation import AblationParameters
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.findings import default_agreements
from app.domain.experiments.intervals import Resampling
from app.domain.experiments.known_heads import KnownHeadParameters, KnownHeadsResult
from app.domain.experiments.long_prefix import LongPrefixParameters
from app.domain.experiments.rankings import RankingParameters, WeightVsFveResult
from app.domain.experiments.records import StoredExperiment
from app.domain.experiments.scan import ScanParameters
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.experiments.checks import check_heads, check_length
from app.experiments.feature_check import Observed, feature_activations, feature_check
from app.experiments.head_ablation import head_ablation
from app.experiments.known_heads import known_heads
from app.experiments.long_prefix_induction import long_prefix_induction
from app.experiments.natural_text import Text
from app.experiments.polysemanticity import polysemanticity, role_tasks
from app.experiments.progress import Batching
from app.experiments.universality import universality
from app.experiments.weight_vs_fve import weight_vs_fve
from app.studies.atlas import OpenAtlas
from app.studies.conduct import ComputeOptions, conduct, request_for
from app.studies.scoreboards import scoreboards
from app.studies.task_choice import TaskChoice, find_predicate


@dataclass(frozen=True)
class Study:
    """An atlas with its model, how much of its text to read, and speed knobs."""

    atlas: OpenAtlas
    model: InterventionModel
    n_sequences: int = 128
    how: ComputeOptions = ComputeOptions()  # noqa: RUF009 - frozen

    def text(self) -> Text:
        """Raises InvalidExperiment where the model cannot read it."""
        text = self.atlas.text(self.n_sequences)
        text.check(self.model)
        return text

    def with_sequences(self, **parameters: object) -> dict[str, object]:
        """Parameters of a study that reads the text; experiments have an n_sequences of their own."""
        return {**parameters, "n_text_sequences": self.n_sequences}


def study_long_prefix(
    study: Study, heads: Sequence[HeadRef], parameters: LongPrefixParameters
) -> StoredExperiment:
    """The long-prefix induction study of some heads, on random tokens and on the atlas's text."""
    check_heads(study.model, heads)
    check_length(study.model, parameters.length)
    text = study.text()
    asked = study.with_sequences(heads=tuple(heads), **_plain(parameters))
    request = request_for(study.atlas, "long-prefix-induction", asked, parameters.seed, study.model)

    def work(batching: Batching):
        return long_prefix_induction(study.model, heads, text, parameters, batching)

    return conduct(study.atlas, request, work, study.how)


def study_ablation(
    study: Study, layer: int, tasks: TaskChoice, parameters: AblationParameters
) -> StoredExperiment:
    """Every head of a layer ablated, on each task."""
    check_heads(study.model, [HeadRef(layer, 0)])
    prompts = tasks.make(study.model, study.text())
    asked = study.with_sequences(
        layer=layer,
        tasks=tuple(task.name for task in prompts),
        n_prompts=tasks.n_prompts,
        **_plain(parameters),
    )
    request = request_for(study.atlas, "head-ablation", asked, parameters.seed, study.model)

    def work(batching: Batching):
        return head_ablation(study.model, layer, prompts, parameters, batching)

    return conduct(study.atlas, request, work, study.how)


def study_known_heads(study: Study, parameters: KnownHeadParameters) -> StoredExperiment:
    """Every detector on every head, beside what is published and annotated of the model."""
    text = study.text()
    asked = study.with_sequences(**_plain(parameters))
    request = request_for(study.atlas, "known-heads", asked, parameters.seed, study.model)

    def work(batching: Batching) -> KnownHeadsResult:
        found = known_heads(study.model, text, parameters, batching)
        return replace(found, scoreboards=scoreboards(study.atlas, found.detected()))

    return conduct(study.atlas, request, work, study.how)


def study_rankings(
    atlas: OpenAtlas, layer: int, parameters: RankingParameters, how: ComputeOptions
) -> StoredExperiment:
    """Decoder weight share against FVE over the stored features of a layer. Needs no model."""
    features, heads = atlas.features(layer), atlas.heads_of(layer)
    request = request_for(atlas, "weight-vs-fve", {"layer": layer, **_plain(parameters)}, 0, None)
    correlations = {record.ref: record.rank_correlation for record in atlas.head_records()}

    def work(_batching: Batching) -> WeightVsFveResult:
        # The store has the default definition's correlation over all live features, free of the choice of stored ones.
        found = weight_vs_fve(features, heads, parameters)
        by_head = default_agreements(found)
        agreements = [
            one.over_all_features(correlations.get(one.head), parameters) if by_head[one.head] is one else one
            for one in found.agreements
        ]
        return replace(found, agreements=tuple(agreements))

    return conduct(atlas, request, work, how)


def study_universality(study: Study, parameters: ScanParameters) -> StoredExperiment:
    """The scan over every head of the model."""
    check_length(study.model, parameters.length)
    request = request_for(study.atlas, "universality", _plain(parameters), parameters.seed, study.model)
    return conduct(
        study.atlas, request, lambda batching: universality(study.model, parameters, batching), study.how
    )


def study_roles(
    study: Study, head: HeadRef, roles: Sequence[str], n_prompts: int, parameters: AblationParameters
) -> StoredExperiment:
    """Each role of a head, tested by ablation on its own task."""
    check_heads(study.model, [head])
    tasks = role_tasks(study.model, roles, n_prompts, parameters.seed)
    asked = {"heads": (head,), "roles": tuple(roles), "n_prompts": n_prompts, **_plain(parameters)}
    request = request_for(study.atlas, "polysemanticity", asked, parameters.seed, study.model)

    def work(batching: Batching):
        return polysemanticity(study.model, head, roles, tasks, parameters, batching)

    return conduct(study.atlas, request, work, study.how)


def study_feature(
    study: Study, sae: LoadedSae, feature: FeatureRef, proxy: str, n_intervals: int, seed: int
) -> StoredExperiment:
    """A feature against a proxy on the atlas's text."""
    check_sae(study.atlas, sae, feature)
    predicate, text = find_predicate(proxy), study.text()
    vocabulary: Vocabulary = study.model.tokenizer.vocabulary(study.model.record.d_vocab)
    asked = study.with_sequences(feature=feature, sae=sae.checksum[:16], proxy=proxy, n_intervals=n_intervals)
    request = request_for(study.atlas, "feature-check", asked, seed, study.model)

    def work(batching: Batching):
        activation = feature_activations(study.model, sae.coder, feature, text, batching)
        observed = Observed(activation, predicate(text.tokens, vocabulary), text.counted)
        return feature_check(feature, observed, proxy, n_intervals, Resampling(seed=seed))

    return conduct(study.atlas, request, work, study.how)


def check_sae(atlas: OpenAtlas, sae: LoadedSae, feature: FeatureRef) -> None:
    """Raises InvalidExperiment where the SAE is not the atlas's, or lacks the feature."""
    record = next((one for one in atlas.run.record.saes if one.layer == feature.layer), None)
    if record is None or sae.layer != feature.layer or sae.checksum != record.checksum:
        raise InvalidExperiment(
            f"{sae.name} is not the SAE that the atlas {atlas.run.slug} was made with for layer {feature.layer}"
        )
    if not 0 <= feature.index < record.d_sae:
        raise InvalidExperiment(f"{sae.name} has no feature {feature}: it has {record.d_sae}")


def _plain(parameters: object) -> dict[str, object]:
    """Parameters by name, the seed apart: it has a column of its own."""
    values = asdict(parameters)  # pyright: ignore[reportArgumentType] - dataclasses only
    values.pop("seed", None)
    return values
