"""SAE folders."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.extras import need


def convert_sae(
    folder: Annotated[Path, typer.Argument(help="folder of an SAE: cfg.json and sae_weights.safetensors")],
    out: Annotated[Path, typer.Option(help="new folder to write")],
    weights: Annotated[
        Literal["int8", "float16", "float32"],
        typer.Option(
            help="int8: 8-bit weights with one scale per feature; float16, float32: as sae_lens reads them"
        ),
    ] = "float32",
) -> None:
    """Write an SAE with its weights in another number format, such as floats for sae_lens."""
    need("precompute", "convert-sae")
    from app.adapters.sae_conversion import convert_sae

    convert_sae(folder, out, weights)
    typer.echo(f"wrote {out} ({weights})")
