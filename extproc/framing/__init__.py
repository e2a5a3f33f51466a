"""Byte formats without input or output: each parser takes bytes and gives events, a typed error, or asks for more."""
