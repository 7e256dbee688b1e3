"""Labels made by rule, so that pictures show an annotated atlas. They are no findings: each says so in its notes."""

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.annotations.roles import suggested_family
from app.domain.refs import HeadRef
from app.services.annotations.hints import suggest
from app.services.annotations.long_prefixes import usual_long_share
from app.services.annotations.saving import Save, save
from app.services.examples.models import FeatureThroughHead
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import Annotator, add_annotator, ensure_annotator, find_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import write_session

K = 10
NOTE = "Grouped by rule for a picture: by evidence where it is strong, else by the kind of token promoted."


def kind_of_tokens(feature: FeatureThroughHead) -> str | None:
    """What most of the ten promoted tokens look like; None where they differ."""
    kinds = Counter(_kind(logit.text) for logit in feature.promoted[:10])
    kind, count = kinds.most_common(1)[0]
    return kind if count >= 5 else None


def _kind(text: str) -> str:
    word = text.strip()
    if not word.isalpha():
        return "punctuation and format"
    if word[:1].isupper():
        return "capitalised words"
    return "whole words" if text.startswith(" ") else "word fragments"


def label_head(context: AtlasContext, head: HeadRef) -> HeadAnnotation:
    """Every feature of the head's top ten in a group, or unclear."""
    features = head_page(context, HeadQuestion(head, k=K)).features
    suggestions = suggest(features, lambda: usual_long_share(context, head, "decoder_weight", features))
    proposed = {each.feature: each.group for each in suggestions.features}
    names = {
        feature.feature: proposed.get(feature.feature) or kind_of_tokens(feature) for feature in features
    }
    groups = tuple(
        Group(name, "LX" if name in _KINDS else suggested_family(name))
        for name in dict.fromkeys(names.values())
        if name is not None
    )
    labels = tuple(FeatureLabel(ref, name, name is None) for ref, name in names.items())
    roles = tuple(each.role for each in suggestions.roles if 2 * each.count >= each.total)
    return HeadAnnotation(groups=groups, labels=labels, roles=roles, confidence=2, notes=NOTE)


_KINDS = frozenset({"punctuation and format", "capitalised words", "whole words", "word fragments"})


def annotate(engine: Any, slug: str, names: tuple[str, str]) -> None:
    """The first name labels two heads in three, the second a third of them again; the last layers stay open."""
    now = datetime.now(UTC)
    with write_session(engine) as session:
        run = get_live_run(session, slug)
        context = AtlasContext(session, run)
        viewers = [Viewer.of(_person(session, name, now)) for name in names]
        n_heads = run.record.model.n_heads
        heads = [HeadRef(sae.layer, head) for sae in run.record.saes for head in range(n_heads)]
        for index, head in enumerate(heads):
            content = label_head(context, head)
            for viewer, is_annotated in zip(viewers, (index % 3 != 2, index % 4 == 1), strict=True):
                if is_annotated and content.labels:
                    save(
                        AtlasContext(session, run, viewer),
                        Save(head, content, 0, str(uuid.uuid4()), "submitted"),
                        now,
                    )


def _person(session: Any, name: str, now: datetime) -> Annotator:
    if name == "me":
        return ensure_annotator(session, name, now, "admin")
    return find_annotator(session, name) or add_annotator(session, name, now)
