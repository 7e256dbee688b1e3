"""The commands, a module for each area. Model libraries are imported inside those that need them."""
