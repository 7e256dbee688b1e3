"""Annotators' names, passwords and account page."""
