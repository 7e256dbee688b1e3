"""Head Atlas: every attention head of a language model, seen through sparse autoencoder features."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("head-atlas")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
