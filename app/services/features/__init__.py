"""Feature pages and the list of a layer's features."""
