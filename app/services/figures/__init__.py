"""Results of experiments as figures: what is drawn, and the same numbers as a table."""
