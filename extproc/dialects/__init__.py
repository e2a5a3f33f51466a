"""Grammars of bodies that more than one family of apis speaks. Each knows nothing of the next."""
