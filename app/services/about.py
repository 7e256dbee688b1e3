"""The content of the about page: what each number means, and what the numbers do not show."""

from dataclasses import dataclass
from typing import Annotated

POST_URL = "https://www.alignmentforum.org/posts/xmegeW5mqiBsvoaim/we-inspected-every-head-in-gpt-2-small-using-saes-so-you-don"
POST_TITLE = "We Inspected Every Head in GPT-2 Small Using SAEs So You Don\u2019t Have To"
BIBTEX = f"""@misc{{gpt2_attention_saes_3,
  author= {{Robert Krzyzanowski and Connor Kissane and Arthur Conmy and Neel Nanda}},
  url = {{{POST_URL}}},
  year = {{2024}},
  howpublished = {{Alignment Forum}},
  title = {{{POST_TITLE}}}
}}"""


@dataclass(frozen=True)
class NumberHelp:
    """The explanation of one number that pages show."""

    name: Annotated[str, "What it is called"]
    formula: Annotated[str, "Its formula, empty where words say it better"]
    help: Annotated[str, "What it says, and over which tokens"]


@dataclass(frozen=True)
class NumberGroup:
    title: Annotated[str, "What the numbers are about"]
    numbers: Annotated[tuple[NumberHelp, ...], "The numbers"]


@dataclass(frozen=True)
class AboutPage:
    groups: Annotated[tuple[NumberGroup, ...], "Every number that the pages show"]
    limitations: Annotated[tuple[str, ...], "What the pages cannot show, a sentence or two each"]
    post_title: Annotated[str, "The post whose method this is"]
    post_url: Annotated[str, "Its address"]
    bibtex: Annotated[str, "How to cite it"]


LIMITATIONS = (
    "A head is judged by its top features only, ten unless you ask for more. Ten are few, and sorting favours what "
    "stands out: a head with several jobs may show the same one ten times.",
    "The order is by a proxy. A large slice of a decoder row means that the head can write the feature, not that it "
    "does so often. FVE asks how much of the feature's pre-activation comes with the head on this corpus; where the "
    "two rankings disagree, the page says so, and FVE is the one to trust.",
    "The evidence is one-sided. Features that have nothing in common show that the head does more than one thing; "
    "features that agree are only weak evidence that it does one.",
    "A feature's meaning is read off a few examples. That can mislead both ways: a pattern that a handful of "
    "examples shows by chance, or one too abstract to be seen in them.",
    "Features come from a sparse autoencoder, which leaves part of the layer's output unexplained and may split or "
    "merge what the model treats as one thing. Each page prints how much is unexplained (FVU).",
    "We look for features that one head writes mostly alone. What heads do together, such as attention head "
    "superposition, is not seen this way.",
    "Examples come from one corpus. A head whose job is rare in it, or absent, will seem to do something else: "
    "several heads known from studies of one narrow task showed little of it in the post.",
    "Direct attribution stops at the layer. What later layers do with a feature, and what earlier layers put into "
    "the values and patterns, is not followed.",
)


def _group(title: str, *numbers: tuple[str, str, str]) -> NumberGroup:
    return NumberGroup(title, tuple(NumberHelp(*number) for number in numbers))


GROUPS = (
    _group(
        "A head's part in a feature",
        (
            "Decoder weight",
            "‖W_dec[f][h]‖ / Σ_h' ‖W_dec[f][h']‖",
            "Share of the feature's decoder row that lies in the head's slice. It needs no text; it sums to 1 over "
            "the heads of a layer, and is the default ranking.",
        ),
        (
            "FVE",
            "Cov(c_h, p) / Var(p)",
            "Fraction of variance explained: how much of the variance of the feature's pre-activation p, over the "
            "tokens where it is active, comes with the head's contribution c_h. It sums to 1 over heads. Feature "
            "pages also give the residual 1 - Var(p - c_h) / Var(p), the squared correlation, and the share over "
            "all tokens.",
        ),
        (
            "DFA",
            "A_h[t,s] · (v_h[s] · W_enc[h][:,f])",
            "Direct feature attribution: what the head adds to the feature's pre-activation at token t by reading "
            "token s. Summed over sources and heads, and with the bias, it is the pre-activation; each page says "
            "how closely it does.",
        ),
        (
            "share, of an example",
            "c_h(t) / p(t)",
            "The part of this example's pre-activation that comes through the head.",
        ),
        (
            "logit effect",
            "W_dec[f] · W_O · W_U",
            "What a unit of the feature adds to each token's logit by the direct path, centred over the vocabulary; "
            "for one head, with its slice of the decoder row alone.",
        ),
    ),
    _group(
        "Examples and evidence",
        (
            "density",
            "",
            "Share of counted tokens where the feature is active. The first token is not counted.",
        ),
        (
            "intervals",
            "",
            "The range of activation in five equal parts, each with a uniform sample of its tokens: the strongest "
            "examples alone would show only the feature's best side.",
        ),
        (
            "n, matched prefix",
            "tokens[dest - i] = tokens[src - 1 - i], i < n",
            "How many tokens up to the firing one repeat the tokens before the source. 1 is what an induction head "
            "needs, 2 and more is a long prefix.",
        ),
        (
            "evidence chips",
            "",
            "Of at most twenty of the strongest examples, how many have their largest DFA source at the previous "
            "token, at an earlier copy of the firing token, at the token after such a copy (induction), at the "
            "beginning of the sequence, or at a token that the feature promotes.",
        ),
    ),
    _group(
        "A head's scores",
        (
            "induction, previous token, duplicate token",
            "",
            "Mean attention, on random tokens repeated twice, to the token after an earlier copy, to the token "
            "before, and to the earlier copy itself.",
        ),
        (
            "copying",
            "Σ Re λ / Σ |λ|",
            "How far the eigenvalues of the head's OV circuit, from embedding to unembedding, are positive: -1 to 1.",
        ),
        (
            "BOS attention, entropy, distance",
            "",
            "Of the attention pattern on the corpus: weight on the first token, entropy in nats, mean tokens from "
            "query back to key.",
        ),
        (
            "concentration",
            "max over live features",
            "The largest decoder weight share of the head: low where the head shares all its features with others.",
        ),
        (
            "rank correlation",
            "Spearman's rho",
            "Of decoder weight and FVE over the features of the head.",
        ),
    ),
    _group(
        "A dictionary",
        ("L0", "", "Mean number of active features per token."),
        ("FVU", "", "Fraction of the variance of the heads' output that the dictionary leaves unexplained."),
        ("dead, rare", "", "Features without an active token, and with too few to be ranked."),
    ),
)


def about_page() -> AboutPage:
    return AboutPage(GROUPS, LIMITATIONS, POST_TITLE, POST_URL, BIBTEX)
