"""Experiments run on an atlas: its model, its text and its annotations in, a stored result out."""
