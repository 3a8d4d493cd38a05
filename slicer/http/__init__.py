"""HTTP servers inside our own event loop: the one way in which we listen for requests."""

from slicer.http.methods import application, resource
from slicer.http.server import Server, cannot_listen
from slicer.http.settings import HttpSettings
from slicer.http.source import source_of

__all__ = ["HttpSettings", "Server", "application", "cannot_listen", "resource", "source_of"]
