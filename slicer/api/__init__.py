"""The Tencent Cloud API 3.0 of TRTC: its requests, signatures, answers and error codes."""

from slicer.api.app import make_app, replace_apps
from slicer.api.counters import ApiCounters
from slicer.api.dispatch import ApiSettings
from slicer.api.health import open_health
from slicer.api.server import Listen, check_listen, open_server

__all__ = [
    "ApiCounters",
    "ApiSettings",
    "Listen",
    "check_listen",
    "make_app",
    "open_health",
    "open_server",
    "replace_apps",
]
