"""Figures of experiment results, one module per kind."""
