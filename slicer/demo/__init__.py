"""The demonstration: publishers, a room, its slices on one page, and progress on a terminal."""
