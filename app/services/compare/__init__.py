"""The compare page: heads side by side, and the nearest heads."""
