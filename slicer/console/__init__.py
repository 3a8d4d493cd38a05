"""The console: the page on which an operator sees every room, and what waits and why."""

from slicer.console.console import Console, open_console

__all__ = ["Console", "open_console"]
