"""Examples as pages show them: tokens, aligned text, one feature through one head."""
