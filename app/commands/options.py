"""Options that several commands take, and the parsers of those that typer cannot read."""

from pathlib import Path
from typing import Annotated

import typer

from app.errors import AppError
from app.precompute.plan import ONE_DATASET_HELP, THREADS_HELP
from app.services.reading.layer_ranges import listed_layers

Model = Annotated[str, typer.Option(help="hub name, local folder, or smollm2-135m (embedded)")]
Dataset = Annotated[str, typer.Option(help=ONE_DATASET_HELP)]
Store = Annotated[str | None, typer.Option(help="SQLite file or postgresql:// address [HEAD_ATLAS_STORE]")]
WorkDir = Annotated[
    Path | None, typer.Option(help="folder from which stopped jobs resume [HEAD_ATLAS_WORK_DIR]")
]
Port = Annotated[int | None, typer.Option(help="port to serve on [PORT]")]
Threads = Annotated[int | None, typer.Option(help=THREADS_HELP)]
SaePaths = Annotated[list[Path] | None, typer.Option("--sae-path", help="folder of an SAE; repeatable")]
SaeIds = Annotated[
    list[str] | None,
    typer.Option(
        "--sae-id", help="id in the release, or a Neuronpedia id such as gpt2-small/5-att-kk; repeatable"
    ),
]


def parse_layers(text: str | None) -> tuple[int, ...] | None:
    """The layers, in order, of a text such as 5,6 or 5-7. Raises AppError for anything else."""
    if text is None:
        return None
    layers = listed_layers(",".join(part.strip() for part in text.split(",")))
    if layers is None:
        raise AppError(f"--layers {text!r} is not a list such as 5,6 or 5-7")
    return tuple(sorted(layers))


def parse_share(text: str | None) -> tuple[int, int] | None:
    """The share (i, N) of a text i/N with 0 <= i < N. Raises AppError for anything else."""
    if text is None:
        return None
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise AppError(f"--shard {text!r} is not i/N with i from 0 to N - 1")
    return int(index), int(count)
