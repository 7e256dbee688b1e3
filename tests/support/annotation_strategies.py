"""Hypothesis: annotations of any kind that the form accepts."""

from hypothesis import strategies as st

from app.domain.annotations.fields import field_specs
from app.domain.annotations.names import normalised
from app.domain.annotations.records import EvidenceLink, FeatureLabel, Group, HeadAnnotation
from app.domain.annotations.roles import ABSTRACTIONS, FAMILIES, ROLES
from app.domain.refs import FeatureRef

CHARACTERS = st.characters(
    exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32) if c not in (9, 10, 13)]
)
ODD_TEXTS = (
    *("=1+1", "+1", "-2", "@SUM(A1)", "'=x", "\t=1", "\r\n", "|cmd", "%x", "\uff1d1", '"a",b;c'),
    *("\ufffe", "\uffff", "_x000D_", "\u202eevil", "\u05e9\u05dc\u05d5\u05dd", "e\u0301", "\u2028", "\x85"),
    *(
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "NULL",
        "nan",
        "0123",
        "1e5",
        "TRUE",
        "2024-01-01",
        " ",
        "",
    ),
)
ODD = st.sampled_from(ODD_TEXTS)
notes = st.one_of(
    ODD, st.text(CHARACTERS, max_size=60), st.tuples(ODD, st.text(CHARACTERS, max_size=30)).map("".join)
)
names = notes.map(lambda text: " ".join(text.split())[:60]).filter(
    lambda text: text.strip() and not any(c in "\t\n\r" or "\x7f" <= c <= "\x9f" for c in text)
)

# Values of the fields whose declarations say enough; of the others below.
DECLARED = {
    name: {"text": notes, "flag": st.booleans()}.get(spec.kind, st.sampled_from([None, *spec.choices]))
    for name, spec in field_specs(HeadAnnotation).items()
    if spec.kind in ("text", "flag", "choice") and name not in ("ranking", "override_reason")
}


@st.composite
def annotations(draw, layer=5):
    groups = draw(st.lists(names, max_size=4, unique_by=normalised))
    features = draw(st.lists(st.integers(0, 40), max_size=10, unique=True))
    choices = [None, "?", *groups]
    labels = []
    for index in features:
        chosen = draw(st.sampled_from(choices))
        group = None if chosen in (None, "?") and chosen not in groups else chosen
        labels.append(
            FeatureLabel(
                FeatureRef(layer, index), group, group is None and chosen == "?", draw(st.booleans())
            )
        )
    return HeadAnnotation(
        groups=tuple(
            Group(name, draw(st.sampled_from(FAMILIES)), draw(st.sampled_from([None, *ABSTRACTIONS])))
            for name in groups
        ),
        labels=tuple(labels),
        ranking=draw(st.sampled_from(["decoder_weight", "fve"])),
        k=draw(st.sampled_from([5, 10, 20])),
        roles=tuple(draw(st.lists(st.sampled_from([role.name for role in ROLES]), max_size=3, unique=True))),
        override_reason=draw(names),
        confidence=draw(st.sampled_from([None, 1, 2, 3, 4, 5])),
        evidence=tuple(
            EvidenceLink(draw(st.sampled_from(["example", "score", "experiment"])), draw(names), draw(notes))
            for _ in range(draw(st.integers(0, 2)))
        ),
        **{name: draw(values) for name, values in DECLARED.items()},
    )
