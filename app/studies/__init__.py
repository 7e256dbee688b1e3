"""Running experiments on an atlas: its model, text and annotations in, a stored result out."""
