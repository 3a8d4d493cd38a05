"""A capture played as a room, and the capture file formats."""
