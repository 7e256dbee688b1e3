"""Keeps a library from installing packages while it loads a model."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def nothing_installed() -> Iterator[None]:
    """Keep every installer from running inside the `with`.

    TransformerLens runs `pip install torchvision` where a model that also reads images has no image processor at
    hand, which may bring another torch into the environment. Head Atlas gives models text alone: without the
    processor, which is left out when the installer fails, nothing is missing.
    """
    run = subprocess.check_call

    def refuse(command: Any, *more: Any, **options: Any) -> int:
        if "install" in command:
            raise subprocess.CalledProcessError(1, command)
        return run(command, *more, **options)

    subprocess.check_call = refuse
    try:
        yield
    finally:
        subprocess.check_call = run
