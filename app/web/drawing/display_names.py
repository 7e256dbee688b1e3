"""Display names of scores, evidence, rankings and types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.annotations.head_types import HEAD_TYPE_NAMES, HeadType
from app.domain.annotations.roles import FAMILY_NAMES, Family, UnknownRole, find_role
from app.domain.annotations.tallies import LeftOut
from app.domain.records import COMPUTE, EXAMPLES, PREPARE, PUBLISH

MOST_LEFT_OUT = 20


@dataclass(frozen=True)
class Label:
    name: str
    help: str


SCORES = {
    "induction": Label(
        "Induction", "attention to the token after an earlier copy, on repeated random tokens"
    ),
    "previous_token": Label("Previous token", "attention one token back, on repeated random tokens"),
    "duplicate_token": Label("Duplicate token", "attention to an earlier copy, on repeated random tokens"),
    "copying": Label("Copying", "how far the OV circuit's eigenvalues are positive, -1 to 1"),
    "bos_attention": Label("BOS attention", "attention to the beginning of the sequence, on the corpus"),
    "entropy": Label("Entropy", "entropy of the attention pattern in nats, on the corpus"),
    "query_key_distance": Label("Distance", "mean number of tokens from query back to key, on the corpus"),
    "concentration": Label("Concentration", "largest decoder weight share among the head's live features"),
}
EVIDENCE = {
    "induction": Label("induction", "reads the token after an earlier copy of the firing token"),
    "induction_fuzzy": Label(
        "fuzzy induction", "the same where the copy may differ in a leading space and letter case"
    ),
    "previous_token": Label("previous", "reads the token just before the firing one"),
    "same_token": Label("same token", "reads an earlier copy of the firing token"),
    "duplicate_token": Label("same token", "reads an earlier copy of the firing token"),
    "bos": Label("BOS", "reads the beginning of the sequence"),
    "copying": Label("copies", "reads a token that the feature promotes"),
}
RANKINGS = {
    "decoder_weight": Label("decoder weight", "share of the decoder row's norm in this head's slice"),
    "fve": Label(
        "FVE", "fraction of the pre-activation's variance explained by this head, over active tokens"
    ),
}

# By what the strips of examples are aligned.
ALIGNMENTS = {
    "prefix": "the end of the matched prefix stands at the anchor in both",
    "token": "source token and firing token themselves stand at the anchor",
}


def _plain(name: str) -> Label:
    return Label(name.replace("_", " "), name.replace("_", " "))


def left_out_words(heads: Sequence[LeftOut]) -> str:
    """Heads that the tally leaves out, each with the reason; only the first few if there are many."""
    more = len(heads) - MOST_LEFT_OUT
    first = ", ".join(each.words for each in heads[:MOST_LEFT_OUT])
    return f"{first} and {more} more" if more > 0 else first


def score_label(name: str) -> Label:
    return SCORES.get(name) or _plain(name)


def chosen_word(score: str) -> str:
    """A score's name within a sentence."""
    name = score_label(score).name
    return name if name.startswith("BOS") else name.lower()


def evidence_label(name: str) -> Label:
    return EVIDENCE.get(name) or _plain(name)


def ranking_label(name: str) -> Label:
    return RANKINGS.get(name) or _plain(name)


def other_ranking(name: str) -> Label:
    """The label of the ranking that `name` is not."""
    return ranking_label("fve" if name == "decoder_weight" else "decoder_weight")


def role_code(role: str) -> str:
    """The role's code of two letters; for a role that has left the vocabulary, its first two letters."""
    try:
        return find_role(role).code
    except UnknownRole:
        return role[:2].upper()


# Without what all names share; the whole name is in titles.
_SHORT_TYPES: dict[HeadType, str] = {
    "monosemantic": "plausibly monosemantic",
    "minor_exceptions": "with minor exceptions",
    "bisemantic": "bisemantic",
}


def type_name(head_type: HeadType | None) -> str:
    if head_type is None:
        return "not annotated"
    return _SHORT_TYPES.get(head_type, HEAD_TYPE_NAMES[head_type])


def family_name(family: Family) -> str:
    return FAMILY_NAMES[family]


# What a precompute job does in each of its stages.
STAGE_WORDS: Mapping[str, str] = {
    PREPARE: "loads the model and the SAEs, tokenises the text, checks that they fit",
    COMPUTE: "runs the text through the model and counts every feature's activations",
    EXAMPLES: "ranks features for each head, and finds what their examples read from",
    PUBLISH: "computes logit effects, and stores the data of the pages",
}
