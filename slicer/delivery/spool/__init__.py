"""Slices on disk until their store has acknowledged them."""
