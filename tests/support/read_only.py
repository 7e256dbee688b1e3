"""Values that several tests share, so that none can change what another is given."""

from dataclasses import fields, is_dataclass

import numpy as np


def protect(value: object) -> None:
    """Have every array that the value holds, however deep, fail when it is written."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, dict):
        protect([*value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            protect(each)
    elif is_dataclass(value):
        protect([getattr(value, field.name) for field in fields(value)])
