"""Running one experiment: the store shows its progress, and its result is stored as a whole or not at all."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

import app
from app.adapters.language_model import LanguageModel
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.json_form import to_json
from app.domain.experiments.kind import ExperimentKind
from app.domain.experiments.records import ExperimentRequest, StoredExperiment
from app.errors import AppError
from app.experiments.progress import Batching
from app.precompute.progress import JobMonitor, Stage, rows_into
from app.store import experiments
from app.store.atlas import progress
from app.store.database.engine import read_session, write_session
from app.studies.atlas import OpenAtlas
from app.studies.options import PassOptions

P = TypeVar("P")
R = TypeVar("R")


def request_for(
    atlas: OpenAtlas,
    kind: ExperimentKind[P, Any],  # Any: a request is written alike whatever will be found
    parameters: P,
    model: LanguageModel | None,
    n_text_sequences: int | None = None,
    **subject: object,
) -> ExperimentRequest:
    """The request of an experiment on an atlas. model: None for experiments that only read the store.

    n_text_sequences: how much of the atlas's text it reads. subject: what else it is about, such as heads or
    tasks.
    """
    record = atlas.model if model is None else model.record
    values: dict[str, object] = asdict(parameters)  # pyright: ignore[reportArgumentType] - dataclasses only
    seed = values.pop("seed", 0)  # it has a column of its own
    if not isinstance(seed, int):
        raise TypeError(f"the seed of {kind.name} is {seed!r}")
    if n_text_sequences is not None:  # parameters may have an n_sequences of their own
        values["n_text_sequences"] = n_text_sequences
    return ExperimentRequest(
        atlas=atlas.run.slug,
        name=kind.name,
        parameters={key: to_json(value) for key, value in {**subject, **values}.items()},
        seed=seed,
        model_name=record.name,
        model_revision=record.revision,
        processing="none" if model is None else model.processing,
        run=atlas.run.record.fingerprint,
        software=app.__version__,
    )


def run_experiment(
    atlas: OpenAtlas,
    kind: ExperimentKind[Any, R],  # Any: the parameters stand in the request already
    request: ExperimentRequest,
    compute: Callable[[Batching], R],
    options: PassOptions,
) -> StoredExperiment:
    """The stored result of the request, computed if it is not in the store or `options.again` is set.

    An invalid request leaves nothing in the store; a failed run leaves its reason. Raises whatever the
    experiment raises.
    """
    with read_session(atlas.engine) as session:
        stored = experiments.find(session, request.id)
    if stored is not None and stored.state == "done" and not options.again:
        return stored
    with write_session(atlas.engine) as session:
        experiments.begin(session, request, datetime.now(UTC))
    began = time.monotonic()
    try:
        with JobMonitor(request.id, rows_into(atlas.engine)) as monitor:
            result = compute(Batching(options.batch_size, _Stages(monitor)))
        _finish(atlas, kind, request.id, result, time.monotonic() - began)
    except BaseException as error:
        with suppress(AppError):  # the first error is the one to tell of
            _end_badly(atlas, request.id, error, time.monotonic() - began)
        raise
    with read_session(atlas.engine) as session:
        return experiments.get_experiment(session, request.atlas, request.id)


def _finish(
    atlas: OpenAtlas,
    kind: ExperimentKind[Any, R],  # Any: the parameters are stored already
    experiment_id: str,
    result: R,
    seconds: float,
) -> None:
    packed, sentence, by_head = kind.pack(result), kind.summarise(result), kind.by_head(result)
    with write_session(atlas.engine) as session:
        experiments.finish(session, experiment_id, seconds, sentence, by_head, packed)
        progress.clear_progress(session, experiment_id)


def _end_badly(atlas: OpenAtlas, experiment_id: str, error: BaseException, seconds: float) -> None:
    with write_session(atlas.engine) as session:
        progress.clear_progress(session, experiment_id)
        if isinstance(error, InvalidExperiment):
            experiments.forget(session, experiment_id)
        else:
            experiments.fail(session, experiment_id, seconds, _sentence(error))


def _sentence(error: BaseException) -> str:
    if isinstance(error, AppError):
        return str(error)
    if isinstance(error, Exception):
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return "it was stopped before it ended"


class _Stages:
    """Reports the batches of an experiment as stages of a JobMonitor."""

    def __init__(self, monitor: JobMonitor) -> None:
        self._monitor = monitor
        self._stage: Stage | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        if self._stage is None or self._stage.name != name:
            self._stage = self._monitor.stage(name, total, "sequences")
            self._stage.resume(done)  # begun before it was heard of, so these have no time
        self._stage.advance(done - self._stage.done)
        if done == total:
            self._stage.finish()
            self._stage = None
