"""Summaries of annotations: head types, agreement, comparison with published labels."""
