"""Conversion of stored feature records to parts of pages: numbers for arrays, texts for token ids."""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from app.domain.documents import CorpusText
from app.domain.records import (
    N_INTERVAL_EXAMPLES,
    N_TOP_EXAMPLES,
    ExampleGroup,
    Examples,
    FeatureRecord,
    FveByHead,
    Histogram,
    RunRecord,
    TokenLogits,
)
from app.domain.tokens import Vocabulary
from app.services.examples import texts
from app.services.examples.models import (
    ActivationGroup,
    Align,
    Bins,
    Example,
    Fve,
    FveValues,
    Pair,
    RunSummary,
    TokenLogit,
)
from app.services.examples.texts import make_example, make_pair
from app.services.examples.through_head import view_through

Sequences = Mapping[int, CorpusText]
# Largest residual that is rounding, by number format of the forward pass.
TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


def summarise_run(run: RunRecord) -> RunSummary:
    """The run as pages name it. A plan without a known number format gets the strictest tolerance."""
    dtype = str(run.plan.get("dtype", "float32")).removeprefix("torch.")
    return RunSummary(
        fingerprint=run.fingerprint,
        model_name=run.model.name,
        model_revision=run.model.revision,
        corpus=run.corpus,
        n_tokens=run.n_tokens,
        n_sequences=run.n_sequences,
        context_size=run.context_size,
        dtype=dtype,
        tolerance=TOLERANCES.get(dtype, TOLERANCES["float32"]),
        checks=checks_in_words(run.plan.get("checks")),
        datasets=run.datasets,
        withheld=withheld_layers(run.plan.get("checks")),
    )


def checks_in_words(checks: object) -> str | None:
    """The self-check of a run in a line: the largest difference from plain transformers, and of z from A v."""
    if not isinstance(checks, dict):
        return None
    record = cast(dict[str, Any], checks)
    differences = [
        value for name in ("raw", "processed") for value in record.get(name, {}).values() if value is not None
    ]
    model = f"model as in transformers to {max(differences):.0e}, " if differences else ""
    withheld = ", logit effects withheld" if record.get("withheld") else ""
    identity = "" if record["dfa"] is None else f"z = A·v to {record['dfa']:.0e}{withheld}"
    return f"{model}{identity}".removesuffix(", ") or None


def withheld_layers(checks: object) -> dict[str, str]:
    """The layers of which a run gives no logit effects, with the reasons."""
    record = cast(dict[str, Any], checks) if isinstance(checks, dict) else {}
    return {str(layer): str(reason) for layer, reason in record.get("withheld", {}).items()}


def finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def make_bins(histogram: Histogram) -> Bins:
    return Bins(
        tuple(float(edge) for edge in histogram.edges), tuple(int(count) for count in histogram.counts)
    )


def make_logits(
    token_id: NDArray[np.int32], logit: NDArray[np.float32], vocabulary: Vocabulary
) -> tuple[TokenLogit, ...]:
    views = [vocabulary.view(int(token)) for token in token_id]
    return tuple(
        TokenLogit(view.token_id, view.text, view, float(value))
        for view, value in zip(views, logit, strict=True)
    )


def whole_logits(logits: TokenLogits, vocabulary: Vocabulary) -> tuple[TokenLogit, ...]:
    return make_logits(logits.token_id, logits.logit, vocabulary)


def head_logits(logits: TokenLogits, head: int, vocabulary: Vocabulary) -> tuple[TokenLogit, ...]:
    """Logit effects of one head's slice; none where the run did not store them for this head."""
    stored = logits.token_id[head] >= 0
    return make_logits(logits.token_id[head][stored], logits.logit[head][stored], vocabulary)


def slice_logits(logits: TokenLogits, head: int | None, vocabulary: Vocabulary) -> tuple[TokenLogit, ...]:
    """Logit effects of one head's slice; empty if head is None, as the feature's own then apply."""
    return () if head is None else head_logits(logits, head, vocabulary)


def _fve_values(fve: FveByHead | None, head: int) -> FveValues | None:
    if fve is None:
        return None
    return FveValues(
        finite(fve.covariance_share[head]), finite(fve.residual[head]), finite(fve.r_squared[head])
    )


def make_fve(feature: FeatureRecord, head: int) -> Fve:
    return Fve(active=_fve_values(feature.fve_active, head), all=_fve_values(feature.fve_all, head))


def fve_by_head(feature: FeatureRecord) -> tuple[float | None, ...]:
    if feature.fve_active is None:
        return (None,) * len(feature.decoder_weight_share)
    return tuple(finite(value) for value in feature.fve_active.covariance_share)


def evidence_counts(feature: FeatureRecord, head: int) -> dict[str, int]:
    """How many of the top examples show each behaviour through the head; a source at BOS shows `bos` alone."""
    counts = {kind: int(counts[head]) for kind, counts in feature.evidence.counts.items()}
    return counts if feature.examples is None else without_bos(feature, head, counts)


def without_bos(feature: FeatureRecord, head: int | None, counts: Mapping[str, int]) -> dict[str, int]:
    """The stored counts of the top examples, corrected so that a source at BOS counts as `bos` only.

    A head with nothing to read attends to BOS, and BOS is the previous token of a text's first one. The positions
    of BOS inside a text are not stored, so those sources are left out only by their number.
    """
    examples, n = feature.examples, feature.evidence.n_examples
    if examples is None:
        return dict(counts)
    source = view_through(examples, head).source[:n, 0]
    n_first = int(((source == 0) & (examples.position[:n] == 1)).sum())
    of_text = {**counts, "previous_token": counts["previous_token"] - n_first}
    most = n - counts["bos"]
    return {kind: count if kind == "bos" else min(count, most) for kind, count in of_text.items()}


def evidence_shares(feature: FeatureRecord, head: int) -> dict[str, float]:
    """The share of the counted examples that shows each behaviour; empty if none was counted."""
    n = feature.evidence.n_examples
    if not n:
        return {}
    return {kind: count / n for kind, count in evidence_counts(feature, head).items()}


def make_group(group: ExampleGroup) -> ActivationGroup:
    n_examples = group.stop - group.start
    n_wanted = N_TOP_EXAMPLES if group.name == "top" else N_INTERVAL_EXAMPLES
    return ActivationGroup(
        group.name,
        group.lower,
        group.upper,
        group.n_tokens,
        group.share_of_active,
        n_examples,
        group.n_pool,
        no_more=0 < n_examples < n_wanted and group.n_pool > n_examples,
    )


def make_examples(feature: FeatureRecord, head: int) -> tuple[Example, ...]:
    """Every stored example as seen through one head, in stored order."""
    if feature.examples is None:
        return ()
    examples, view = feature.examples, view_through(feature.examples, head)
    return tuple(
        example
        for group in feature.groups
        for example in texts.make_examples(examples, view, slice(group.start, group.stop), group.name)
    )


def dfa_maximum(feature: FeatureRecord, head: int | None) -> float:
    """The largest |DFA| over the stored examples, through one head or, with None, all heads summed."""
    examples = feature.examples
    if examples is None or not len(examples):
        return 0.0
    return float(np.abs(view_through(examples, head).dfa).max())


def group_pairs(
    feature: FeatureRecord,
    group: ExampleGroup,
    head: int | None,
    n_shown: int,
    sequences: Sequences,
    vocabulary: Vocabulary,
    align: Align = "prefix",
) -> tuple[Pair, ...]:
    """The first examples of a group with their text."""
    examples: Examples | None = feature.examples
    if examples is None:
        return ()
    view = view_through(examples, head)
    pairs: list[Pair] = []
    for index in range(group.start, min(group.stop, group.start + n_shown)):
        example = make_example(examples, view, index, group.name)
        text = sequences[example.sequence]
        pairs.append(make_pair(example, examples, view, index, text, vocabulary, align))
    return tuple(pairs)


def sequences_of(feature: FeatureRecord, group: ExampleGroup, n_shown: int) -> set[int]:
    """Indices of the corpus sequences that group_pairs reads."""
    if feature.examples is None:
        return set()
    stop = min(group.stop, group.start + n_shown)
    return {int(sequence) for sequence in feature.examples.sequence[group.start : stop]}
