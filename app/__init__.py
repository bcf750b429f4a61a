"""Handrail: the human-in-the-loop review queue for AI decisions."""

__version__ = "0.1.0"
