"""Access tokens of LiveKit."""

import warnings

import jwt
import pytest

from slicer.rooms.livekit.token import LIFETIME, make_token

SECRET = "a-secret-of-thirty-two-characters"


def test_what_a_robot_may_do() -> None:
    token = make_token("key", SECRET, "lobby", "robot", 1e9)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert (claims["iss"], claims["sub"]) == ("key", "robot")
    assert (claims["nbf"], claims["exp"]) == (1e9 - 60, 1e9 + LIFETIME)
    grants = claims["video"]
    assert grants["room"] == "lobby"
    assert {name for name, value in grants.items() if value is True} == {
        "roomJoin", "hidden", "canSubscribe",
    }  # fmt: skip
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, SECRET[::-1], algorithms=["HS256"])


def test_a_short_secret_is_the_servers_affair() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_token("devkey", "secret", "lobby", "robot", 1e9).count(".") == 2
