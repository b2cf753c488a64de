"""Filming of recorded episodes."""
