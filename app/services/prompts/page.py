"""The prompt page: asks the model's process about a text and shows its answer."""

from dataclasses import dataclass
from typing import Any, cast

from app.domain.prompts import MAX_CHARACTERS, PromptOpening, PromptQuestion
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.examples import from_records
from app.services.prompts.models import PromptPage, PromptReading, PromptState
from app.services.prompts.process import PromptFailed
from app.services.prompts.queue import PromptJob, PromptQueue, QueueFull, Waiting
from app.services.prompts.readings import make_reading
from app.services.reading.context import AtlasContext, check_head, sae_of
from app.store.atlas.reads import get_report

EXAMPLES = (
    "When Mary and John went to the store, John gave a drink to Mary. When Mary and John went home,",
    "def add(self, value):\n    self.items.append(value)\n\ndef remove(self, value):\n    self.items.",
    "The quick brown fox jumps over the lazy dog. The quick brown",
)
WAIT_S = 1.5  # for a quick answer to come with the page


@dataclass(frozen=True)
class PromptService:
    """What the server needs to answer prompts. reason: why there is no queue, if there is none."""

    queue: PromptQueue | None
    reason: str
    cache_dir: str = ""

    def close(self) -> None:
        if self.queue is not None:
            self.queue.close()


@dataclass(frozen=True)
class PromptRequest:
    """A text, with the head, feature and destination token to look at; None for a default.

    asker: the account, or without accounts the client's address, whose waiting texts are counted.
    """

    text: str = ""
    head: HeadRef | None = None
    feature: FeatureRef | None = None
    dest: int | None = None
    asker: str = ""


def prompt_page(
    context: AtlasContext, service: PromptService, request: PromptRequest, wait_s: float = WAIT_S
) -> PromptPage:
    """The prompt page, with the answer if it is there within wait_s.

    Raises NotFound for a head or feature that the model does not have.
    """
    question = _question(context, request)
    queue = service.queue
    if len(request.text) > MAX_CHARACTERS:
        problem = f"The text has {len(request.text)} characters; at most {MAX_CHARACTERS} are read."
        return _page(context, service, request, "failed", problem=problem)
    if queue is None:
        return _page(context, service, request, "unavailable", problem=service.reason)
    if question is None:
        return _page(context, service, request, "ready")
    try:
        outcome = queue.ask(_job(context, service, question, request.asker), wait_s)
    except QueueFull as full:
        return _page(context, service, request, "failed", problem=str(full))
    if isinstance(outcome, Waiting):
        return _page(context, service, request, "waiting", waiting=outcome)
    if isinstance(outcome, PromptFailed):
        return _page(context, service, request, "failed", problem=str(outcome))
    return _page(
        context, service, request, "answered", reading=make_reading(context, question.layer, outcome)
    )


def _question(context: AtlasContext, request: PromptRequest) -> PromptQuestion | None:
    """The question for the model's process; None if there is no text yet."""
    head, feature = request.head, request.feature
    if head is not None:
        check_head(context.run, head)
    if feature is not None:
        _check_feature(context, feature, head)
    if not request.text.strip():
        return None
    at = feature or head or _first_head(context)
    return PromptQuestion(
        text=request.text,
        layer=at.layer,
        head=head.head if head is not None else at.head if isinstance(at, HeadRef) else None,
        feature=feature.index if feature is not None else None,
        dest=request.dest,
    )


def _check_feature(context: AtlasContext, feature: FeatureRef, head: HeadRef | None) -> None:
    sae = sae_of(context.run, feature.layer)
    if sae is None:
        raise NotFound(f"this atlas has no SAE for layer {feature.layer}, so it does not have {feature}")
    if feature.index >= sae.d_sae:
        raise NotFound(f"layer {feature.layer} has {sae.d_sae} features; {feature} is not one of them")
    if head is not None and head.layer != feature.layer:
        raise NotFound(
            f"{head} and {feature} are in different layers, so the head does not write the feature"
        )


def _first_head(context: AtlasContext) -> HeadRef:
    """The default head: the one with the largest induction score in a layer with an SAE."""
    layers = {sae.layer for sae in context.run.record.saes}
    heads = [head for head in context.heads if head.ref.layer in layers] or list(context.heads)
    return max(heads, key=lambda head: head.scores.get("induction", 0.0)).ref


def _job(context: AtlasContext, service: PromptService, question: PromptQuestion, asker: str) -> PromptJob:
    run = context.run
    details = get_report(context.session, run).details
    sources = cast(dict[str, Any] | None, details.get("sources"))
    opening = PromptOpening(run.record.plan, sources, service.cache_dir)
    return PromptJob(run.record.fingerprint, question, opening, asker)


def _page(
    context: AtlasContext,
    service: PromptService,
    request: PromptRequest,
    state: PromptState,
    problem: str | None = None,
    waiting: Waiting | None = None,
    reading: PromptReading | None = None,
) -> PromptPage:
    record = context.run.record
    return PromptPage(
        model=context.run.slug,
        run=from_records.summarise_run(record),
        state=state,
        problem=problem,
        text=request.text,
        at=str(request.feature or request.head or ""),
        head=request.head,
        feature=request.feature,
        dest=request.dest,
        ahead=waiting.ahead if waiting else 0,
        loading=waiting.loading if waiting else False,
        max_characters=MAX_CHARACTERS,
        max_tokens=record.context_size - 1,
        job_seconds=service.queue.limits.job_s if service.queue else 0.0,
        sae_layers=tuple(sae.layer for sae in record.saes),
        reading=reading,
        examples=EXAMPLES,
    )
