"""What makes a request for an experiment invalid."""

from app.errors import AppError


class InvalidExperiment(AppError):
    """The experiment cannot be run on this model with these parameters."""
