"""A stored experiment: what was run, how it went, and its result."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.domain.experiments.ablation import HeadAblationResult, PolysemanticityResult
from app.domain.experiments.feature_check import FeatureCheckResult
from app.domain.experiments.json_form import from_json, to_json
from app.domain.experiments.known_heads import KnownHeadsResult
from app.domain.experiments.long_prefix import LongPrefixResult
from app.domain.experiments.rankings import WeightVsFveResult
from app.domain.experiments.scan import UniversalityResult
from app.domain.records import Json
from app.errors import InvalidStore

VERSION = 1  # of the form of stored results
State = Literal["running", "done", "failed"]
Result = (
    LongPrefixResult
    | HeadAblationResult
    | KnownHeadsResult
    | WeightVsFveResult
    | UniversalityResult
    | PolysemanticityResult
    | FeatureCheckResult
)
RESULTS: dict[str, type[Result]] = {
    "long-prefix-induction": LongPrefixResult,
    "head-ablation": HeadAblationResult,
    "known-heads": KnownHeadsResult,
    "weight-vs-fve": WeightVsFveResult,
    "universality": UniversalityResult,
    "polysemanticity": PolysemanticityResult,
    "feature-check": FeatureCheckResult,
}


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
    def record(self) -> Result:
        """The result of one that is done. Raises InvalidStore."""
        return open_result(self.request.name, self.result)

    def without_result(self) -> "StoredExperiment":
        return replace(self, result=None)


def pack_result(result: Result) -> Json:
    """The stored form of a result."""
    return {"version": VERSION, "result": to_json(result)}


def open_result(name: str, data: Json) -> Result:
    """Raises InvalidStore for a result that this version cannot read."""
    if not isinstance(data, dict) or data.get("version") != VERSION or name not in RESULTS:
        raise InvalidStore(f"the stored result of {name[:40]} is not one that this version can read")
    return from_json(RESULTS[name], data["result"])
