"""Query strings and form bodies as typed values, and file downloads."""
