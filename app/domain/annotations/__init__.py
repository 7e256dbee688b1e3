"""Annotation records and rules: roles, head types, merging, tallies."""
