"""What every page reads through: context, caches, visibility, field help, JSON."""
