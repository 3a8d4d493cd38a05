"""The Tencent face: requests as TRTC's SDKs sign them, answers and error codes as TRTC's."""

from slicer.api.app import make_app
from slicer.api.dispatch import ApiSettings
from slicer.api.server import Listen, check_listen, open_server

__all__ = ["ApiSettings", "Listen", "check_listen", "make_app", "open_server"]
