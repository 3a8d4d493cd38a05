"""Rooms on LiveKit servers: one connection for the room, by which we take what a task wants."""
