"""SVG charts and the formatting of numbers, tokens and names."""
