"""Presentation of a search to people: the live view, plain and JSON lines, tables."""
