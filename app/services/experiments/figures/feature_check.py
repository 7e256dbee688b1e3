"""Figures of the feature check: a feature's activations against a proxy for what it detects."""

from app.domain.experiments.feature_check import FeatureCheckResult
from app.services.experiments.figures.options import FigureOptions, estimate, mean_and_interval
from app.services.experiments.models import BarChart, Figure, LineChart, Series, Value


def feature_check_figures(result: FeatureCheckResult, _options: FigureOptions) -> tuple[Figure, ...]:
    """The share of proxy tokens by activation interval, and sensitivity and specificity by threshold.

    The thresholds are the intervals' lower edges.
    """
    intervals = result.intervals
    places = tuple("0" if not part.upper else f"{part.upper:.1f}" for part in intervals)
    shares = Series("", None, tuple(estimate(part.proxy_share) for part in intervals))
    lines = (
        Series("sensitivity", 0, tuple(estimate(part.sensitivity) for part in intervals[1:])),
        Series("specificity", 1, tuple(estimate(part.specificity) for part in intervals[1:])),
    )
    rows: list[tuple[Value, ...]] = [
        (part.lower, part.upper, part.n_tokens, part.n_proxy, *mean_and_interval(part.proxy_share))
        for part in intervals
    ]
    above: list[tuple[Value, ...]] = [
        (part.lower, *mean_and_interval(part.sensitivity), *mean_and_interval(part.specificity))
        for part in intervals[1:]
    ]
    note = f"{result.n_tokens:,} tokens, {result.n_active:,} active, {result.n_proxy:,} selected"
    edges = tuple(f"{part.lower:.1f}" for part in intervals[1:])
    parts = ("", " lower", " upper")
    return (
        Figure(
            name="specificity",
            title=f"{result.feature} by activation",
            measure=f"Share of the interval's tokens that the proxy {result.proxy} selects; 0: silent tokens",
            note=note,
            columns=("from", "to", "tokens", "selected", "share", "lower", "upper"),
            rows=tuple(rows),
            charts=(("", BarChart("activation up to", places, (shares,), percent=True)),),
        ),
        Figure(
            name="threshold",
            title="Activation above a threshold as a detector",
            measure=f"Sensitivity and specificity for the proxy {result.proxy}",
            note=note,
            columns=("above", *(f"{n}{p}" for n in ("sensitivity", "specificity") for p in parts)),
            rows=tuple(above),
            charts=(("", LineChart("activation above", edges, lines)),),
        ),
    )
