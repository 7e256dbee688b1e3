"""Page dataclasses of the atlas and of the index of atlases."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.records import SaeRecord
from app.domain.refs import HeadRef
from app.services.atlas.annotation_models import (
    AtlasNotes,
    Colouring,
    Completion,
    HeadNotes,
    LayerNotes,
    Order,
    StrongScore,
)
from app.services.examples.models import RunSummary
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class AtlasHead:
    head: Annotated[HeadRef, "The head"]
    scores: Annotated[
        dict[str, float], "Its scores by name; concentration among them where the layer has an SAE"
    ]
    matches: Annotated[bool, "Whether it fulfils the filters, where there are any"] = True
    done: Annotated[Completion, "Who has submitted a record of it"] = "nobody"
    notes: Annotated[HeadNotes | None, "The labels shown of it; null where there are none"] = None


@dataclass(frozen=True)
class AtlasLayer:
    layer: Annotated[int, "The layer, from 0"]
    sae: Annotated[SaeRecord | None, "Its SAE; null where the atlas has none"]
    heads: Annotated[tuple[AtlasHead, ...], "Its heads, by index or by value"]
    notes: Annotated[LayerNotes | None, "Summary of the labels of its heads; null without labels"] = None
    strong: Annotated[
        tuple[StrongScore, ...],
        "Heads with a high induction, previous-token or duplicate-token score, strongest first",
    ] = ()


@dataclass(frozen=True)
class Job:
    """A precompute job, as it last reported."""

    fingerprint: Annotated[str, "The run it makes"]
    stage: Annotated[str, "What it is doing"]
    done: Annotated[int, "Units done"]
    total: Annotated[int | None, "Units in all; null while that is not known"]
    unit: Annotated[str, "What is counted"]
    rate: Annotated[float | None, "Units per second; null before the first is done"]
    state: Annotated[str, "running, done or failed"]
    updated_at: Annotated[str, "When it last reported, UTC"]
    left_s: Annotated[float | None, "Seconds left of this stage at that rate; null before it is known"]


@dataclass(frozen=True)
class AtlasFilter:
    """Which heads stand out on the atlas, the rest being faded. An empty text or null sets no condition."""

    layers: Annotated[str, "Layers as they were asked for, such as 5-7 or 2,5"] = ""
    low: Annotated[float | None, "Smallest value of the score"] = None
    high: Annotated[float | None, "Largest value of the score"] = None
    role: Annotated[str, "A role that is among the head's"] = ""
    type: Annotated[str, "The head type"] = ""
    status: Annotated[str, "By whom a record is submitted: nobody, you, others, both or anyone"] = ""


@dataclass(frozen=True)
class AtlasPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    score: Annotated[str, "The score the cells show"]
    score_names: Annotated[tuple[str, ...], "All scores"]
    layers: Annotated[tuple[AtlasLayer, ...], "Layers from 0 up, each with its heads"]
    strongest: Annotated[tuple[AtlasHead, ...], "The heads with the largest values of the score"]
    jobs: Annotated[tuple[Job, ...], "Precompute jobs that have not finished"]
    filter: Annotated[AtlasFilter, "What was filtered by"]
    n_matching: Annotated[int, "Heads that fulfil the filters"]
    colour: Annotated[Colouring, "What the cells are coloured by"]
    order: Annotated[Order, "Order of the heads within a layer"]
    annotator: Annotated[str, "Whose labels were asked for; empty for the default"]
    notes: Annotated[AtlasNotes, "The annotations"]


@dataclass(frozen=True)
class AtlasSummary:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary | None, "Its live run; null until one is published"]
    n_layers: Annotated[int | None, "Layers of the model"]
    n_heads: Annotated[int | None, "Heads in a layer"]
    sae_layers: Annotated[tuple[int, ...], "Layers with an SAE"]


@dataclass(frozen=True)
class JobStage:
    """One stage of a precompute job. job: its last report, where it is under way."""

    name: str
    state: Literal["done", "running", "failed", "waiting"]
    job: Job | None = None


@dataclass(frozen=True)
class IndexPage:
    atlases: Annotated[tuple[AtlasSummary, ...], "The atlases of the store, by name"]
    jobs: Annotated[tuple[Job, ...], "Precompute jobs that have not finished"]
    has_published: Annotated[bool, "Whether there is an atlas to open"]
    stages: Annotated[
        tuple[JobStage, ...], "The stages of the latest job, until there is one", HTML_ONLY
    ] = ()
