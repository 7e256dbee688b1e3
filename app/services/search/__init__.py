"""Search: query language, results, suggestions."""
