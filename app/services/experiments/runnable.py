"""The experiments that can be run on an atlas: each with its command, and how long it takes here."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.experiments.ablation import HEAD_ABLATION, POLYSEMANTICITY
from app.domain.experiments.feature_check import FEATURE_CHECK
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION
from app.domain.experiments.rankings import WEIGHT_VS_FVE
from app.domain.experiments.records import StoredExperiment
from app.domain.experiments.registry import KINDS
from app.domain.records import COMPUTE, HeadRecord, Json, RunReport
from app.domain.refs import FeatureRef, HeadRef
from app.domain.slugs import slugify
from app.paths import embedded_dir
from app.services.experiments.models import RunnableExperiment
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.store.atlas.progress import stage_rate
from app.store.atlas.reads import LiveRun, get_ranking, get_report

# Any: the kinds of the registry have parameters and results of their own.
AnyKind = ExperimentKind[Any, Any]
_NEEDS_FEATURES = {WEIGHT_VS_FVE.name, FEATURE_CHECK.name}
_SCORE = "induction"  # what the examples of heads, roles and proxies are about


@dataclass(frozen=True)
class _Subject:
    """What the commands are about: the head with the strongest induction score, and the first of its features."""

    head: HeadRef
    feature: FeatureRef | None
    sae_words: tuple[str, ...]


def runnable_experiments(
    context: AtlasContext, stored: Sequence[StoredExperiment]
) -> tuple[RunnableExperiment, ...]:
    """Every kind of experiment, in the order of the registry. stored: of this atlas, newest first."""
    report = get_report(context.session, context.run)
    subject, rate = _subject(context, report), _tokens_per_second(context, report)
    return tuple(_runnable(context.run, kind, subject, rate, stored) for kind in KINDS.values())


def ablation_command(run: LiveRun, head: HeadRef) -> str:
    """The shell command that ablates each head of this head's layer.

    Raises NotFound for a head that the model does not have.
    """
    check_head(run, head)
    return _command(run, HEAD_ABLATION, ("--layer", str(head.layer)))


def _runnable(
    run: LiveRun,
    kind: AnyKind,
    subject: _Subject | None,
    rate: float | None,
    stored: Sequence[StoredExperiment],
) -> RunnableExperiment:
    lacks = ""
    if subject is None:
        lacks = "the atlas has no heads"
    elif kind.name in _NEEDS_FEATURES and subject.feature is None:
        lacks = "the atlas has no features"
    command = "" if subject is None or lacks else _command(run, kind, _words(kind, subject))
    finished = next((one for one in stored if one.request.name == kind.name and one.state == "done"), None)
    return RunnableExperiment(
        name=kind.name,
        purpose=kind.purpose,
        command=command,
        lacks=lacks,
        last_seconds=None if finished is None else finished.seconds,
        expected_seconds=_seconds(kind.n_tokens(kind.parameters_type(), _text_sizes(run, kind)), rate),
    )


def _command(run: LiveRun, kind: AnyKind, words: Sequence[str]) -> str:
    model = run.record.model.name
    named = () if slugify(model) == run.slug else ("--name", run.slug)
    return shlex.join(["head-atlas", "experiment", kind.name, "--model", model, *words, *named])


def _words(kind: AnyKind, subject: _Subject) -> tuple[str, ...]:
    """What the command says of its subject."""
    words = {
        LONG_PREFIX_INDUCTION.name: ("--heads", str(subject.head)),
        HEAD_ABLATION.name: ("--layer", str(subject.head.layer)),
        POLYSEMANTICITY.name: ("--head", str(subject.head), "--roles", _SCORE),
        FEATURE_CHECK.name: ("--feature", str(subject.feature), "--proxy", _SCORE, *subject.sae_words),
    }
    return words.get(kind.name, ())


def _subject(context: AtlasContext, report: RunReport) -> _Subject | None:
    """The subject, of a layer with an SAE where there is one; None for an atlas without heads."""
    run = context.run
    heads = [head for head in context.heads if sae_of(run, head.ref.layer)] or list(context.heads)
    if not heads:
        return None

    def score(head: HeadRecord) -> tuple[float, HeadRef]:
        return -head.scores.get(_SCORE, 0.0), head.ref

    head = min(heads, key=score).ref
    if sae_of(run, head.layer) is None:
        return _Subject(head, None, ())
    features = get_ranking(context.session, run, head, "decoder_weight", 1).features
    return _Subject(head, features[0].ref if features else None, _sae_words(run, report, head.layer))


def _sae_words(run: LiveRun, report: RunReport, layer: int) -> tuple[str, ...]:
    """The options that name the layer's SAE; none where it ships with the package.

    Where the folder of an SAE is, readers of the page are not told: FOLDER stands for it.
    """
    sae = sae_of(run, layer)
    shipped = (embedded_dir() / slugify(run.record.model.name)).glob("layer_*")
    if sae is not None and sae.name in {folder.name for folder in shipped}:
        return ()
    sources = cast(dict[str, Any] | None, report.details.get("sources")) or {}
    planned = cast(list[dict[str, Json]], run.record.plan.get("saes") or [])
    for one, source in zip(planned, sources.get("saes", ()), strict=False):
        if one["layer"] == layer and "release" in source:
            return ("--release", str(source["release"]), "--sae-id", str(source["sae_id"]))
    return ("--sae-path", "FOLDER")


def _text_sizes(run: LiveRun, kind: AnyKind) -> TextSizes:
    record = run.record
    return TextSizes(min(kind.n_sequences, record.n_sequences), record.context_size, record.model.n_heads)


def _seconds(n_tokens: int, rate: float | None) -> float | None:
    """About how long a model takes to read so many tokens, at so many tokens a second; None where that is not known."""
    if n_tokens == 0:
        return 0.0
    return n_tokens / rate if rate else None


def _tokens_per_second(context: AtlasContext, report: RunReport) -> float | None:
    """How fast one worker of the atlas's own job sent tokens through the model; None where that is not stored."""
    rate = stage_rate(context.session, context.run.record.fingerprint, COMPUTE)
    return None if rate is None else rate / max(report.workers, 1)
