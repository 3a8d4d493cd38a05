"""Access tokens (docs.livekit.io/home/get-started/authentication): what a robot may do."""

import warnings

import jwt

LIFETIME = 600
"""Seconds in which a token may be used to join; who is in may stay."""


def make_token(key: str, secret: str, room: str, robot: str, now: float) -> str:
    """A token by which this robot joins this room, hidden from the others there, to receive alone.

    *now*: Unix time. Clocks may differ by a minute.
    """
    video = {
        "room": room,
        "roomJoin": True,
        "hidden": True,
        "canPublish": False,
        "canPublishData": False,
        "canSubscribe": True,
    }
    begins = int(now) - 60
    claims = {"iss": key, "sub": robot, "nbf": begins, "exp": int(now) + LIFETIME, "video": video}
    with warnings.catch_warnings():
        # How long a secret is to be is the server's to say: `livekit-server --dev` has one of six
        # letters.
        warnings.simplefilter("ignore")
        return jwt.encode(claims, secret, algorithm="HS256")
