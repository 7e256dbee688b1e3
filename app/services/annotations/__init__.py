"""Annotations of heads and features: saving, editing, history, the annotation panel."""
