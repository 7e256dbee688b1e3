"""A stored experiment: what was run, how it went, and its result."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.domain.experiments.json_form import to_json
from app.domain.experiments.kind import ExperimentKind
from app.domain.experiments.registry import find_kind
from app.domain.records import Json

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class ExperimentRequest:
    """All that a result depends on, but for the machine it is computed on."""

    atlas: str
    name: str
    parameters: dict[str, Json]
    seed: int
    model_name: str
    model_revision: str
    processing: str
    run: str  # fingerprint of the run whose text, features or annotations were used
    software: str

    @property
    def id(self) -> str:
        """A short name to cite it by: the same request has the same, wherever it is run."""
        text = json.dumps(to_json(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


@dataclass(frozen=True)
class StoredExperiment:
    """One experiment as stored. `message`: why it failed. `finding`: what it found, in a sentence."""

    id: str
    request: ExperimentRequest
    state: State
    created_at: datetime
    seconds: float | None = None
    message: str = ""
    finding: str = ""
    result: Json = None

    @property
    def kind(self) -> ExperimentKind[Any, Any]:
        """What kind of experiment it is. Raises InvalidStore for one that only another version knows."""
        return find_kind(self.request.name)

    @property
    def record(self) -> Any:
        """The result of one that is done, of its kind's type. Raises InvalidStore."""
        return self.kind.unpack(self.result)
