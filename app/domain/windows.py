"""How much text a page shows around an example: what the job compares examples by, and what the pages draw."""

# What the widest page can show of a text window: more would be clipped, and every token costs markup.
CHARACTERS_BEFORE = 44
CHARACTERS_AFTER = 33
