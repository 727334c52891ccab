"""The demonstration: the whole line on real input."""
