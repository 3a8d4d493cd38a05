"""Rooms of Janus' VideoRoom plugin, 1.0 or newer: https://janus.conf.meetecho.com/docs/videoroom."""
