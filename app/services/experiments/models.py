"""Page dataclasses of experiments and their charts; fields that appear in JSON have a help text."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.refs import HeadRef
from app.services.atlas.models import Job
from app.services.examples.models import RunSummary
from app.services.reading.fields import HTML_ONLY

Value = str | float | None
Mark = Literal["plain", "strong", "hollow", "muted"]


@dataclass(frozen=True)
class PlotValue:
    """A value, with its interval if it has one."""

    value: float
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Series:
    """One line of a chart, or one bar in each of its groups.

    index: picks mark and colour; None for a series that needs neither. hollow: drawn as an outline, for
    values after a change.
    """

    label: str
    index: int | None
    values: tuple[PlotValue | None, ...]
    hollow: bool = False


@dataclass(frozen=True)
class LineChart:
    """Values over an ordered axis, with bands for intervals.

    rule: where a dotted line stands, as a place counted from 1, and its label.
    """

    x_label: str
    places: tuple[str, ...]
    series: tuple[Series, ...]
    rule: tuple[int, str] | None = None


@dataclass(frozen=True)
class BarChart:
    """Groups of bars, with whiskers for intervals.

    strong: indices of the places whose bars stand out. by_place: each place is a head, with a colour and
    printed values of its own.
    """

    x_label: str
    places: tuple[str, ...]
    series: tuple[Series, ...]
    percent: bool = False
    strong: tuple[int, ...] = ()
    by_place: bool = False


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    mark: Mark = "plain"
    label: str = ""


@dataclass(frozen=True)
class ScatterChart:
    x_label: str
    y_label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class DotRow:
    label: str
    estimate: PlotValue | None
    index: int = 0


@dataclass(frozen=True)
class DotChart:
    """Estimates with intervals, one per line. rule: a threshold. The axis spans at least low to high."""

    rows: tuple[DotRow, ...]
    low: float
    high: float
    rule: float | None = None


@dataclass(frozen=True)
class TickRow:
    """All values as ticks on one line, the strong ones heavy, with a threshold."""

    label: str
    values: tuple[float, ...]
    strong: tuple[float, ...]
    threshold: float


@dataclass(frozen=True)
class TickChart:
    rows: tuple[TickRow, ...]


Chart = LineChart | BarChart | ScatterChart | DotChart | TickChart


@dataclass(frozen=True)
class Choice:
    """A link that shows a figure with another value of one query parameter."""

    label: str
    parameter: str
    value: str
    current: bool


@dataclass(frozen=True)
class Figure:
    name: Annotated[str, "Short name, for its CSV"]
    title: Annotated[str, "What it shows"]
    measure: Annotated[str, "What was measured, in what unit"]
    note: Annotated[str, "How many observations, and the seed"]
    columns: Annotated[tuple[str, ...], "Columns of its table"]
    rows: Annotated[tuple[tuple[Value, ...], ...], "Rows of its table"]
    charts: Annotated[tuple[tuple[str, Chart], ...], "What is drawn, each with a caption", HTML_ONLY] = ()
    choices: Annotated[tuple[Choice, ...], "Other ways to show it", HTML_ONLY] = ()


@dataclass(frozen=True)
class Parameter:
    name: Annotated[str, "Name of the parameter"]
    value: Annotated[str, "Its value, as JSON where it is not plain"]


@dataclass(frozen=True)
class ExperimentSummary:
    id: Annotated[str, "Short name to cite it by: the same request has the same"]
    name: Annotated[str, "Which experiment"]
    state: Annotated[str, "running, done or failed"]
    finding: Annotated[str, "What it found, in a sentence; empty until it is done"]
    message: Annotated[str, "Why it failed"]
    created_at: Annotated[str, "When it began, UTC"]
    seconds: Annotated[float | None, "Time it took"]
    seed: Annotated[int | None, "Seed of all randomness; null where nothing is drawn at random"]
    software: Annotated[str, "Version of Head Atlas that ran it"]
    model_name: Annotated[str, "The language model"]
    model_revision: Annotated[str, "Its revision, or a checksum of its weights"]
    processing: Annotated[str, "Weight processing: raw or processed; none where no model was run"]
    against_run: Annotated[str, "Fingerprint of the run whose text or features it read"]


@dataclass(frozen=True)
class ProposedExperiment:
    """An experiment that has not been run."""

    head: Annotated[HeadRef, "The head that it is about"]
    command: Annotated[str, "The command that runs it"]


@dataclass(frozen=True)
class RunnableExperiment:
    """One kind of experiment, as it can be run on this atlas."""

    name: Annotated[str, "Which experiment"]
    purpose: Annotated[str, "What it tests, in a sentence"]
    command: Annotated[str, "The command that runs it on this atlas; empty where it cannot be run"]
    lacks: Annotated[str, "Why it cannot be run; empty where it can"]
    last_seconds: Annotated[float | None, "Time the newest finished one took; null before the first"]
    expected_seconds: Annotated[
        float | None,
        "About the time it takes with this command, at the rate of the atlas's own job; null where that is not stored",
    ]


@dataclass(frozen=True)
class ExperimentsPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The atlas's live run"]
    experiments: Annotated[tuple[ExperimentSummary, ...], "Its experiments, newest first"]
    proposed: Annotated[
        ProposedExperiment | None, "How to ablate the head that was asked for; null where none was"
    ] = None
    runnable: Annotated[
        tuple[RunnableExperiment, ...],
        "Every experiment that there is, with its command; none in exported files",
    ] = ()


@dataclass(frozen=True)
class NamedHead:
    head: Annotated[HeadRef, "The head"]
    finding: Annotated[str, "What was found of it"]


@dataclass(frozen=True)
class ExperimentPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The atlas's live run"]
    experiment: Annotated[ExperimentSummary, "What was run, and how it went"]
    parameters: Annotated[tuple[Parameter, ...], "What it was asked"]
    heads: Annotated[tuple[NamedHead, ...], "What it found, head by head"]
    figures: Annotated[tuple[Figure, ...], "Its figures; empty until it is done"]
    jobs: Annotated[tuple[Job, ...], "How far it is, while it runs"]
    query: Annotated[dict[str, str], "What was asked of the figures, for links", HTML_ONLY]
    may_cite: Annotated[bool, "Whether the viewer has records to cite it in", HTML_ONLY]
    cited_in: Annotated[tuple[HeadRef, ...], "The heads whose record of the viewer cites it", HTML_ONLY]
