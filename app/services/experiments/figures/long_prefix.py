"""Figures of the long-prefix induction experiment."""

from collections.abc import Callable, Sequence

from app.domain.experiments.intervals import Interval
from app.domain.experiments.long_prefix import LongPrefixHead, LongPrefixResult, PrefixDistribution
from app.services.experiments.figures.options import (
    FigureOptions,
    choices,
    estimate,
    mean_and_interval,
    pick,
    pick_heads,
)
from app.services.experiments.models import (
    BarChart,
    DotChart,
    DotRow,
    Figure,
    LineChart,
    PlotValue,
    Series,
    Value,
)

_RULE = (2, "long prefix: 2 or more")
_LAST_SHOWN = 6  # prefix lengths from here on share a bar


def long_prefix_figures(result: LongPrefixResult, options: FigureOptions) -> tuple[Figure, ...]:
    """Figures of attention and logits by prefix length, natural text, corrupted text, and the verdicts."""
    refs = [head.head for head in result.heads]
    telling = [head.head for head in result.heads if head.verdict.kind != "neither"]
    drawn = pick_heads(options.heads, refs, [*telling, *refs])
    drawn_heads = [head for ref in drawn for head in result.heads if head.head == ref]
    names = ", ".join(str(head.head) for head in drawn_heads)
    figures = [
        _by_prefix(result, drawn_heads, f"Attention by prefix length: {names}", _ATTENTION),
        _by_prefix(result, drawn_heads, f"Logit of the repeated token: {names}", _LOGIT),
    ]
    if any(head.natural for head in result.heads):
        figures += [_natural(result, drawn_heads, options), _corrupted(result, drawn_heads)]
    return (*figures, _verdicts(result))


_Kind = tuple[str, str, Callable[[LongPrefixHead], tuple[Interval, ...]]]
_ATTENTION: _Kind = (
    "attention",
    "Attention from the last repeated token to the one after its earlier copy, random tokens",
    lambda head: head.attention_by_prefix,
)
_LOGIT: _Kind = (
    "logit",
    "Direct logit attribution to the correct next token, final norm's scale frozen",
    lambda head: head.logit_by_prefix,
)


def _by_prefix(
    result: LongPrefixResult, drawn_heads: Sequence[LongPrefixHead], title: str, kind: _Kind
) -> Figure:
    name, measure, values_of = kind
    n = values_of(result.heads[0])[0].n
    lengths = range(1, result.parameters.max_prefix + 1)
    series = tuple(
        Series(str(head.head), index, tuple(estimate(values_of(head)[k]) for k in lengths))
        for index, head in enumerate(drawn_heads)
    )
    rows: list[tuple[Value, ...]] = [
        (str(head.head), k, *mean_and_interval(interval), interval.n)
        for head in result.heads
        for k, interval in enumerate(values_of(head))
    ]
    places = tuple(map(str, lengths))
    rule = _RULE if len(lengths) > 1 else None
    note = f"{n} sequences per length, seed {result.parameters.seed}"
    if name == "logit":
        note += f"; parts sum to the logit within {result.worst_logit_error:.0e}"
    chart = LineChart("repeated prefix length (tokens)", places, series, rule)
    columns = ("head", "prefix length", "mean", "lower", "upper", "n")
    return Figure(name, title, measure, note, columns, tuple(rows), (("", chart),))


def _natural(
    result: LongPrefixResult, drawn_heads: Sequence[LongPrefixHead], options: FigureOptions
) -> Figure:
    sweep = [f"{threshold:g}" for threshold in result.parameters.sweep]
    requested = None if options.threshold is None else f"{options.threshold:g}"
    default = f"{result.parameters.threshold:g}"
    threshold = pick("threshold", requested or (default if default in sweep else None), sweep)
    index_of_threshold = sweep.index(threshold)
    last = min(_LAST_SHOWN, result.parameters.max_prefix)
    series = tuple(
        Series(str(head.head), index, _shares(head.natural[index_of_threshold], last))
        for index, head in enumerate(drawn_heads)
    )
    places = ("none", *map(str, range(1, last)), f"{last}+")
    n_pairs = ", ".join(f"{head.head} {head.natural[index_of_threshold].n_pairs:,}" for head in drawn_heads)
    rows: list[tuple[Value, ...]] = [
        (str(head.head), distribution.threshold, k, exact, fuzzy, distribution.n_pairs)
        for head in result.heads
        for distribution in head.natural
        for k, (exact, fuzzy) in enumerate(zip(distribution.exact, distribution.fuzzy, strict=True))
    ]
    return Figure(
        name="natural",
        title="Matched prefix where the heads attend in natural text",
        measure=f"Share of pairs with attention above {threshold} to a token other than BOS",
        note=f"{result.n_text_tokens:,} tokens; pairs: {n_pairs}",
        columns=("head", "threshold", "prefix length", "pairs", "pairs up to space and case", "all pairs"),
        rows=tuple(rows),
        charts=(("", BarChart("matched prefix length (tokens)", places, series, percent=True)),),
        choices=choices("threshold", sweep, threshold),
    )


def _shares(distribution: PrefixDistribution, last: int) -> tuple[PlotValue | None, ...]:
    if not distribution.n_pairs:
        return (None,) * (last + 1)
    counts = (*distribution.exact[:last], sum(distribution.exact[last:]))
    return tuple(PlotValue(count / distribution.n_pairs) for count in counts)


def _corrupted(result: LongPrefixResult, drawn_heads: Sequence[LongPrefixHead]) -> Figure:
    groups = tuple(str(head.head) for head in drawn_heads)
    series = (
        Series("clean", None, tuple(estimate(head.verdict.before) for head in drawn_heads)),
        Series("corrupted", None, tuple(estimate(head.verdict.after) for head in drawn_heads), hollow=True),
    )
    rows: list[tuple[Value, ...]] = [
        (str(head.head), condition, *mean_and_interval(interval), None if interval is None else interval.n)
        for head in result.heads
        for condition, interval in (("clean", head.verdict.before), ("corrupted", head.verdict.after))
    ]
    p = result.parameters
    drawn = any(value is not None for value in series[0].values)
    chart = BarChart("solid: clean; hollow: corrupted", groups, series, by_place=True)
    return Figure(
        name="corrupted",
        title="Natural examples cut to a prefix of one token",
        measure="Mean attention before and after token source−2 is replaced, prefix ≥ 2 before",
        note=f"all heads on the same {result.n_corrupted} examples, {p.n_draws} draws, seed {p.seed}",
        columns=("head", "condition", "mean", "lower", "upper", "n"),
        rows=tuple(rows),
        charts=(("", chart),) if drawn else (),
    )


def _verdicts(result: LongPrefixResult) -> Figure:
    rule = result.parameters.rule
    rows: list[tuple[Value, ...]] = []
    dots: list[DotRow] = []
    for head in result.heads:
        v = head.verdict
        rows.append(
            (
                str(head.head),
                v.kind,
                v.reason,
                *mean_and_interval(v.long_gain),
                *mean_and_interval(v.one_share),
                *mean_and_interval(v.kept),
                head.control,
            )
        )
        if v.long_gain.lower >= rule.min_gain:
            dots.append(DotRow(f"{head.head} gain at one / two or more", estimate(v.one_share)))
            dots.append(DotRow(f"{head.head} kept after corruption", estimate(v.kept), 1))
    parts = ("", " lower", " upper")
    columns = ["head", "verdict", "reason"]
    columns += [f"{name}{part}" for name in ("long gain", "one share", "kept") for part in parts]
    chart = DotChart(tuple(dots), 0.0, 1.0, rule.max_one_share)
    return Figure(
        name="verdicts",
        title="What the verdicts rest on",
        measure=f"Both below {rule.max_one_share:g}: long-prefix; both at least {rule.max_one_share:g}: standard",
        note=f"95% bootstrap intervals; label-shuffled controls: {result.parameters.n_shuffles} a head",
        columns=(*columns, "false verdicts of shuffled labels"),
        rows=tuple(rows),
        charts=(("", chart),) if dots else (),
    )
