"""Experiment pages and their figures."""
