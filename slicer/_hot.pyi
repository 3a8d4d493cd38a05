"""The native plane has the reference's face."""

from slicer.slicing.receiver import Receiver

__all__ = ["Receiver"]
