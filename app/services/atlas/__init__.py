"""The atlas page: layers x heads, with filters and annotations."""
