"""The base that every page reads from: context, caches, visibility, field help, JSON."""
