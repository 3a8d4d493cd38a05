"""The demonstration: publishers, a room, its slices on one page, and progress on a terminal."""

from pathlib import Path

SAMPLES = Path(__file__).with_name("samples")
"""What the anchors publish, where nothing else is named."""
SECONDS = (4, 600)
"""How short and how long the demo may be."""
