"""The demonstration: publishers, a room, its slices on one page, and progress on a terminal."""

SECONDS = (4, 600)
"""How short and how long the demo may be."""
