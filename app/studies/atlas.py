"""The atlas of an experiment: its store, its text and features, and the model it was made from."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.adapters.interventions import InterventionModel
from app.adapters.language_model import Processing
from app.adapters.model_sources import ModelChecksums, find_model
from app.adapters.transformer_lens_model import DTYPES, load_model
from app.domain.experiments.errors import InvalidExperiment
from app.domain.records import FeatureRecord, HeadRecord, ModelRecord
from app.domain.refs import HeadRef
from app.experiments.natural_text import Text
from app.precompute.loaded_run import expected_checksums
from app.precompute.plan import RunPlan, RunPlanChanged
from app.store.atlas.features import list_features
from app.store.atlas.reads import LiveRun, get_heads, get_live_run, get_sequences
from app.store.database.engine import Engine, read_session
from app.store.opening import migrated_store

_ALL = 2**31 - 1


@dataclass(frozen=True)
class ModelOptions:
    """How to load the model. processing: None for the one that the atlas's SAEs were trained with."""

    model: str
    cache_dir: Path
    revision: str | None = None
    processing: Processing | None = None
    device: str = "cpu"
    dtype: str = "float32"


@dataclass(frozen=True)
class OpenAtlas:
    """An atlas in an open store."""

    engine: Engine
    run: LiveRun

    @property
    def model(self) -> ModelRecord:
        return self.run.record.model

    @property
    def plan(self) -> RunPlan | None:
        """The plan of the atlas's run; None if another version stored it in a format that this one cannot read."""
        try:
            return RunPlan.from_json(self.run.record.plan)
        except RunPlanChanged:
            return None

    def check_heads(self, heads: Sequence[HeadRef]) -> None:
        """Raise InvalidExperiment for a head that the model does not have, before the model is loaded."""
        for head in heads:
            if not self.model.has_head(head):
                raise InvalidExperiment(
                    f"{self.model.name} has no head {head}: it has {self.model.n_layers} layers of "
                    f"{self.model.n_heads} heads"
                )

    def heads_of(self, layer: int) -> list[HeadRef]:
        """Every head of a layer. Raises InvalidExperiment for a layer that the model does not have."""
        heads = [HeadRef(layer, head) for head in range(self.model.n_heads)]
        self.check_heads(heads[:1])
        return heads

    def text(self, n_sequences: int) -> Text:
        """Up to n_sequences sequences of the atlas's corpus, evenly spaced."""
        run = self.run.record
        chosen = np.unique(np.linspace(0, run.n_sequences - 1, min(n_sequences, run.n_sequences)).astype(int))
        with read_session(self.engine) as session:
            sequences = get_sequences(session, self.run, chosen.tolist())
        tokens = np.stack([sequences[int(index)] for index in chosen]).astype(np.int64)
        counted = tokens != self.model.bos_token_id  # padding is BOS, too
        counted[:, 0] = False
        return Text(tokens, counted)

    def features(self, layer: int) -> list[FeatureRecord]:
        """The stored features of a layer. Raises InvalidExperiment if there are none."""
        with read_session(self.engine) as session:
            records = list_features(session, self.run, layer, limit=_ALL)
        if not records:
            raise InvalidExperiment(f"the atlas {self.run.slug} holds no features of layer {layer}")
        return records

    def head_records(self) -> list[HeadRecord]:
        """Every head with its stored scores."""
        with read_session(self.engine) as session:
            return get_heads(session, self.run)


@contextmanager
def open_atlas(store: str, slug: str) -> Generator[OpenAtlas]:
    """Open an atlas. Raises InvalidStore if there is no store, NotFound if it does not have the atlas."""
    with migrated_store(store, must_exist=True) as engine:
        with read_session(engine) as session:
            run = get_live_run(session, slug)
        yield OpenAtlas(engine, run)


def load_atlas_model(atlas: OpenAtlas, options: ModelOptions) -> InterventionModel:
    """The model that the atlas was made from.

    Raises InvalidExperiment for a different model or revision, and whatever load_model raises.
    """
    source = find_model(options.model, options.cache_dir, options.revision)
    processing = options.processing or sae_processing(atlas)
    loaded = load_model(source, processing, options.device, DTYPES[options.dtype])
    ours, theirs = loaded.record, atlas.model
    if (ours.name, ours.n_layers, ours.n_heads) != (theirs.name, theirs.n_layers, theirs.n_heads):
        raise InvalidExperiment(
            f"the atlas {atlas.run.slug} was made from {theirs.name}, not from {ours.name}"
        )
    if "unknown" not in (ours.revision, theirs.revision) and ours.revision != theirs.revision:
        raise InvalidExperiment(
            f"the atlas {atlas.run.slug} was made from revision {theirs.revision} of {theirs.name}, and this is "
            f"{ours.revision}"
        )
    if _planned_checksums(atlas, options) not in (None, loaded.checksums):
        raise InvalidExperiment(
            f"the model {theirs.name} is no longer the one that the atlas {atlas.run.slug} was made from"
        )
    return InterventionModel.of(loaded)


def _planned_checksums(atlas: OpenAtlas, options: ModelOptions) -> ModelChecksums | None:
    """The checksums that the model must have; None if the run has none, or was computed with another dtype."""
    plan = atlas.plan
    return expected_checksums(plan) if plan is not None and plan.dtype == options.dtype else None


def sae_processing(atlas: OpenAtlas) -> Processing:
    """The weight processing that all SAEs of the atlas share, or raw if they differ."""
    processings: set[Processing] = {sae.processing for sae in atlas.run.record.saes}
    return processings.pop() if len(processings) == 1 else "raw"
