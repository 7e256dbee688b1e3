"""What all halves of Head Atlas agree on: references, tokens, records, annotation rules."""
