"""A store full of hostile texts: tokens, groups, notes, reasons, evidence, labels, people, and the names of a run."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.domain.annotations.names import normalised
from app.domain.annotations.records import (
    Content,
    EvidenceLink,
    FeatureLabel,
    FeatureNote,
    Group,
    HeadAnnotation,
    Status,
)
from app.domain.experiments.records import ExperimentRequest
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store import experiments
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW
from tests.support.example_data import RunShape
from tests.support.hostile_text import HOSTILE
from tests.support.run_data import StoredRun, make_run, publish

ONLY_DRAFTS, DRAFT = "only-drafts <b>", "a-draft-for-nobody"
PEOPLE = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "\u202eevil\u202c",
    "=1+1",
    "{{7*7}}",
    "\u05e9\u05dc\u05d5\u05dd",
    "e\u0301" * 20,
    "W" * 90,
)
NOTES = "\n".join((*HOSTILE, "a\x85b"))  # the last is no name: control codes end or hide a line


def hostile_run() -> StoredRun:
    """A run of 12 heads whose tokens are the texts, and words between."""
    plain = [f" {word}".encode() for word in ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it"]]
    vocabulary = Vocabulary.from_tokens([b"<|endoftext|>", *(text.encode() for text in HOSTILE), *plain], [0])
    with patch("tests.support.run_data.make_vocabulary", lambda: vocabulary):
        run = make_run("tiny", 1, RunShape(n_layers=2, n_heads=6, sae_layers=(0, 1), features_per_layer=14))
    model = replace(run.record.model, name=f"org/{HOSTILE[3]}")
    saes = tuple(replace(sae, name=f"{sae.name} {HOSTILE[5]}") for sae in run.record.saes)
    return replace(run, record=replace(run.record, model=model, saes=saes, corpus=HOSTILE[0]))


def groups_of(run: StoredRun) -> dict[HeadRef, list[str]]:
    """Every text as the name of a group of some head; no head has two that count as one name."""
    heads = [head.ref for head in run.heads]
    names: dict[HeadRef, list[str]] = {head: [] for head in heads}
    for i, text in enumerate(HOSTILE):
        fitting = (heads[(i + j) % len(heads)] for j in range(len(heads)))
        head = next(
            head for head in fitting if normalised(text) not in {normalised(name) for name in names[head]}
        )
        names[head].append(text)
    return names


def fill(engine: Engine, run: StoredRun) -> None:
    """Publish the run, and annotate it by everyone in every field."""
    publish(engine, run)
    with write_session(engine) as session:
        _annotate(session, run)
        request = ExperimentRequest(
            "tiny", "known-heads", {"text": NOTES}, 5, HOSTILE[0], "1", "tiny", "f" * 16, "0.1"
        )
        experiments.fail(session, experiments.begin(session, request, NOW), 3.0, " | ".join(HOSTILE))


def _annotate(session: Session, run: StoredRun) -> None:
    for number, (head, names) in enumerate(groups_of(run).items()):
        _save(session, "me", head, _judgement(run, head, names))
        person = PEOPLE[number % len(PEOPLE)]
        _save(session, person, head, _judgement(run, head, names[:9]))
    for number, ref in enumerate(run.features):
        texts = [text for text in HOSTILE if text.strip()][number :: len(run.features)]
        for person, text in zip(("me", *PEOPLE), texts, strict=False):
            _save(session, person, ref, FeatureNote(text, NOTES if person == "me" else text))
    secret = HeadAnnotation(groups=(Group(DRAFT),), notes=DRAFT)
    _save(session, ONLY_DRAFTS, run.heads[0].ref, secret, "draft")


def _judgement(run: StoredRun, head: HeadRef, names: Sequence[str]) -> HeadAnnotation:
    shown = run.rankings[head, "decoder_weight"].features[: min(10, len(names))]
    return HeadAnnotation(
        groups=tuple(Group(name, "IN") for name in names),
        labels=tuple(FeatureLabel(place.ref, name) for place, name in zip(shown, names, strict=False)),
        override="polysemantic",
        override_reason=" | ".join(HOSTILE),
        notes=NOTES,
        evidence=tuple(
            EvidenceLink("example" if i % 2 else "score", f"{shown[0].ref}:0:5" if i % 2 else name, name)
            for i, name in enumerate(names)
        ),
    )


def _save(
    session: Session, name: str, ref: HeadRef | FeatureRef, content: Content, status: Status = "submitted"
) -> None:
    viewer = Viewer.of(ensure_annotator(session, name, NOW, "admin" if name == "me" else "annotator"))
    context = AtlasContext(session, get_live_run(session, "tiny"), viewer)
    save(context, Save(ref, content, 0, str(uuid.uuid4()), status), NOW)
