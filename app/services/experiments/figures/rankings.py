"""Figures of decoder weight share against FVE, of the induction scan, and of the detectors of known heads."""

from collections.abc import Mapping, Sequence

from app.domain.experiments.known_heads import ROLES, KnownHeadsResult
from app.domain.experiments.rankings import DEFINITIONS, TOKEN_SETS, RankingAgreement, WeightVsFveResult
from app.domain.experiments.scan import UniversalityResult
from app.domain.refs import HeadRef
from app.services.experiments.figures.options import (
    FigureOptions,
    choices,
    mean_and_interval,
    pick,
    pick_heads,
)
from app.services.experiments.models import Figure, Mark, Point, ScatterChart, TickChart, TickRow, Value

N_SCATTERS = 2
_WORDS = {
    "covariance_share": "Cov(c, p) / Var(p)",
    "residual": "1 − Var(p − c) / Var(p)",
    "r_squared": "squared correlation of c and p",
}


def ranking_figures(result: WeightVsFveResult, options: FigureOptions) -> tuple[Figure, ...]:
    """Scatter plots of the chosen heads, and a table of all heads.

    By default the heads whose two rankings agree most and least are drawn.
    """
    definition = pick("definition of FVE", options.definition, DEFINITIONS)
    tokens = pick("set of tokens", options.tokens, TOKEN_SETS)
    by_head = {a.head: a for a in result.agreements if (a.definition, a.tokens) == (definition, tokens)}
    by_agreement = sorted(by_head, key=lambda head: -(by_head[head].correlation or -2.0))
    drawn_heads = pick_heads(options.heads, list(by_head), [*by_agreement[:1], *by_agreement[-1:]])
    features_counted = "all live features" if any(a.over_all for a in by_head.values()) else "these alone"
    rows: list[tuple[Value, ...]] = [
        (
            *(str(a.head), a.definition, a.tokens, a.correlation, "all live" if a.over_all else "stored"),
            *(a.overlap, a.n_listed, _yes(a.ranking_matters)),
        )
        for a in result.agreements
    ]
    p = result.parameters
    return (
        Figure(
            name="agreement",
            title=f"Decoder weight against FVE, layer {result.layer}",
            measure=f"FVE by feature, {_WORDS[definition]} over {tokens} tokens, against decoder weight share; "
            f"Spearman's ρ. Solid: top {p.k} by both; hollow amber: by weight alone; hollow grey: by FVE alone",
            note=f"points: {len(result.features)} stored features; ρ over {features_counted}; the ranking matters "
            f"below ρ {p.min_correlation:g} or {p.min_overlap} of {p.k} in both lists",
            columns=(
                *("head", "definition", "tokens", "correlation", "over features"),
                *("in both", "listed", "ranking matters"),
            ),
            rows=tuple(rows),
            charts=tuple(_scatter(result, by_head[head]) for head in drawn_heads[:N_SCATTERS]),
            choices=(
                *choices("definition", DEFINITIONS, definition),
                *choices("tokens", TOKEN_SETS, tokens),
            ),
        ),
        _features(result, drawn_heads, by_head),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _scatter(result: WeightVsFveResult, agreement: RankingAgreement) -> tuple[str, ScatterChart]:
    by_share, by_fve = result.top(agreement)

    def mark(feature: object) -> Mark:
        if feature in by_share and feature in by_fve:
            return "strong"
        return "hollow" if feature in by_share else "plain" if feature in by_fve else "muted"

    points = tuple(
        Point(point.share, point.fve, mark(point.feature))
        for point in result.points(agreement)
        if point.fve is not None
    )
    rho = "unknown" if agreement.correlation is None else f"{agreement.correlation:.2f}".replace("0.", ".")
    both = f"{agreement.overlap} of {agreement.n_listed} in both lists"
    return f"{agreement.head} ρ = {rho}, {both}", ScatterChart("decoder weight share", "FVE", points)


def _features(
    result: WeightVsFveResult, drawn_heads: tuple[HeadRef, ...], by_head: Mapping[HeadRef, RankingAgreement]
) -> Figure:
    rows: list[tuple[Value, ...]] = []
    for head in drawn_heads:
        by_share, by_fve = result.top(by_head[head])
        for point in result.points(by_head[head]):
            if point.feature in by_share | by_fve:
                in_lists = (_yes(point.feature in by_share), _yes(point.feature in by_fve))
                rows.append((str(head), str(point.feature), point.share, point.fve, *in_lists))
    return Figure(
        name="features",
        title="Features in either list",
        measure=f"The top {result.parameters.k} of each drawn head by decoder weight share and by FVE",
        note="",
        columns=("head", "feature", "decoder weight share", "FVE", "by weight", "by FVE"),
        rows=tuple(rows),
    )


def scan_figures(
    result: UniversalityResult, others: Sequence[UniversalityResult], _options: FigureOptions
) -> tuple[Figure, ...]:
    """One scatter plot per model, this one first, with all of its heads; heads that have a verdict are named."""
    scans = (result, *others)
    p, parts = result.parameters, ("", " lower", " upper")
    beside = "" if len(scans) == 1 else f" and {len(scans) - 1} more"
    return (
        Figure(
            name="scan",
            title=f"Induction over all {len(result.heads)} heads of {result.model}{beside}",
            measure="Attention on random repeated tokens: at one matching token, and what two or more add. "
            "Solid: long-prefix; hollow: standard; grey: neither",
            note=f"{p.n_examples} sequences per length, up to {p.max_prefix} tokens, seed {p.seed}",
            columns=(
                *("model", "head", "one token", "added", "verdict", "reason"),
                *(f"{name}{part}" for name in ("long gain", "one share") for part in parts),
            ),
            rows=tuple(row for scan in scans for row in _scan_rows(scan)),
            charts=tuple((scan.model, _scan_chart(scan)) for scan in scans),
        ),
    )


def _scan_chart(result: UniversalityResult) -> ScatterChart:
    marks: dict[str, Mark] = {"long-prefix": "strong", "standard": "hollow", "neither": "muted"}
    points = tuple(
        Point(
            point.induction_score,
            point.long_prefix_gain,
            marks[point.verdict.kind],
            "" if point.verdict.kind == "neither" else str(point.head),
        )
        for point in result.heads
    )
    return ScatterChart("attention at a prefix of one token", "added by longer prefixes", points)


def _scan_rows(result: UniversalityResult) -> list[tuple[Value, ...]]:
    return [
        (
            *(result.model, str(point.head), point.induction_score, point.long_prefix_gain),
            *(point.verdict.kind, point.verdict.reason),
            *mean_and_interval(point.verdict.long_gain),
            *mean_and_interval(point.verdict.one_share),
        )
        for point in result.heads
    ]


def known_head_figures(result: KnownHeadsResult, _options: FigureOptions) -> tuple[Figure, ...]:
    """A strip plot of all heads for each role, and a scoreboard for each reference."""
    thresholds = result.parameters.thresholds
    lines = tuple(
        TickRow(
            role.replace("_", " "),
            tuple(head.scores[role] for head in result.heads),
            tuple(head.scores[role] for head in result.heads if role in head.roles),
            thresholds[role],
        )
        for role in ROLES
    )
    rows: list[tuple[Value, ...]] = [
        (
            str(head.head),
            *(head.scores[role] for role in ROLES),
            head.copying,
            head.predicted_attention,
            ", ".join(head.roles),
        )
        for head in result.heads
    ]
    p = result.parameters
    detectors = Figure(
        name="detectors",
        title=f"Known kinds of heads among {len(result.heads)}",
        measure="Score in each role; heavy: at or above the role's threshold",
        note=f"{p.n_sequences} random sequences, {result.n_successor_steps} successor steps, seed {p.seed}",
        columns=("head", *ROLES, "copying", "attention to predicted tokens", "roles"),
        rows=tuple(rows),
        charts=(("", TickChart(lines)),),
    )
    return (detectors, *_boards(result))


def _boards(result: KnownHeadsResult) -> list[Figure]:
    boards: list[Figure] = []
    for board in result.scoreboards:
        rows: list[tuple[Value, ...]] = [
            (row.role.replace("_", " "), len(row.detected), len(row.known), row.precision, row.recall)
            for row in board.roles
        ]
        boards.append(
            Figure(
                name=board.against.replace(" ", "-"),
                title=f"Detectors against {board.against}",
                measure="Precision and recall of each role",
                note=f"over {board.n_heads} heads",
                columns=("role", "detected", "known", "precision", "recall"),
                rows=tuple(rows),
            )
        )
    return boards
