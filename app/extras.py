"""What the package's extras bring, looked up without importing it, so that a command says at once what it lacks."""

from importlib.util import find_spec

from app.errors import AppError

# The modules that each extra of pyproject.toml is asked for, without which nothing of it works.
MODULES = {
    "precompute": (
        "torch",
        "transformers",
        "transformer_lens",
        "sae_lens",
        "safetensors",
        "jaxtyping",
        "psutil",
    ),
    "parquet": ("pyarrow",),
    "ray": ("ray",),
}


class MissingExtra(AppError):
    """A command needs packages that are not installed."""


def missing(extra: str) -> list[str]:
    """The modules of the extra that are not installed."""
    return [name for name in MODULES[extra] if find_spec(name) is None]


def need(extra: str, what: str) -> None:
    """Raise MissingExtra, with the words `what` for what needs it, unless all of the extra is installed."""
    if absent := missing(extra):
        packages = "a package that is" if len(absent) == 1 else "packages that are"
        raise MissingExtra(
            f"{what} needs {packages} not installed ({', '.join(absent)}): pip install 'head-atlas[{extra}]'"
        )
