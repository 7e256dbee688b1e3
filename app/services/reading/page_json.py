"""Page dataclasses as strict JSON: references as text, numbers that are not finite as null."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, cast

import numpy as np

from app.domain.records import Json
from app.domain.refs import FeatureRef, HeadRef
from app.services.reading.fields import described_fields


def to_json(value: Any) -> Json:
    """Raises TypeError for a value that has no JSON form, so a new field cannot slip out as its repr."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, HeadRef | FeatureRef):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        shown = (part.name for part in described_fields(value.__class__) if part.in_json)
        return {name: to_json(getattr(value, name)) for name in shown}
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, Sequence):
        return [to_json(item) for item in cast(Sequence[Any], value)]
    raise TypeError(f"{type(value).__name__} has no JSON form")
