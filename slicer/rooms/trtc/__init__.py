"""Rooms of TRTC itself, entered by Tencent's own SDK where the operator has installed it."""
