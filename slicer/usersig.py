"""UserSig and PrivateMapKey (TLSSigAPIv2): who may do what until when."""

import base64
import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag

from slicer.errors import Unauthorized

MAX_TEXT = 2_048
"""Longest signature read, in characters; real ones have 150 to 400."""
MAX_JSON = 4_096
"""Longest JSON that a signature may inflate to, in bytes."""
HALF_YEAR = 15_552_000

_TO_URL = str.maketrans("+/=", "*-_")
_FROM_URL = str.maketrans("*-_", "+/=")
_VERSION = "2.0"


class Privilege(IntFlag):
    """What a PrivateMapKey allows."""

    CREATE = 1
    ENTER = 2
    SEND_AUDIO = 4
    RECEIVE_AUDIO = 8
    SEND_VIDEO = 16
    RECEIVE_VIDEO = 32
    SEND_AUXILIARY = 64
    RECEIVE_AUXILIARY = 128


EVERYTHING = Privilege(255)
ROBOT = Privilege.ENTER | Privilege.RECEIVE_AUDIO | Privilege.RECEIVE_VIDEO


@dataclass(frozen=True, slots=True)
class SdkApp:
    """An app by its id (SdkAppId) and the key it signs with; signs and verifies for its users.

    *now* is UTC in seconds, *expire* the seconds from then on. What is verified comes from
    outside: it is bounded, and Unauthorized says what is wrong with it, never the key or the text.
    """

    sdkappid: int
    key: str = field(repr=False)

    def usersig(self, user: str, now: int, expire: int = HALF_YEAR) -> str:
        """Sign that *user* is who they say."""
        return self._make(_Claims(user, self.sdkappid, now, expire))

    def private_map_key(
        self,
        user: str,
        room: int | str,
        now: int,
        expire: int = HALF_YEAR,
        privileges: Privilege = EVERYTHING,
    ) -> str:
        """Sign what *user* may do in *room*: a room's number, or a string room's name."""
        userbuf = self._userbuf(user, room, now + expire, privileges)
        text = base64.b64encode(userbuf).decode()
        return self._make(_Claims(user, self.sdkappid, now, expire, text))

    def verify_usersig(self, signature: str, user: str, now: float) -> None:
        """Raise Unauthorized unless *signature* is this user's and still good."""
        if self._verify(signature, user, now).userbuf is not None:
            raise Unauthorized("UserSig: this is a PrivateMapKey")

    def verify_private_map_key(
        self, signature: str, user: str, room: int | str, now: float
    ) -> Privilege:
        """Give what *user* may do in *room*. Raises Unauthorized."""
        claims = self._verify(signature, user, now)
        if claims.userbuf is None:
            raise Unauthorized("PrivateMapKey: this is a UserSig")
        try:
            userbuf = base64.b64decode(claims.userbuf, validate=True)
            expires, privileges = struct.unpack_from(">II", userbuf, len(user.encode()) + 11)
        except (ValueError, struct.error):
            raise Unauthorized("PrivateMapKey: malformed (TLS.userbuf)") from None
        if userbuf != self._userbuf(user, room, expires, privileges):
            raise Unauthorized("PrivateMapKey: made for another room")
        if now > expires:
            raise Unauthorized("PrivateMapKey: expired")
        return Privilege(privileges & EVERYTHING)

    def _make(self, claims: "_Claims") -> str:
        fields = claims.fields() | {"TLS.ver": _VERSION, "TLS.sig": self._sign(claims)}
        packed = zlib.compress(json.dumps(fields).encode())
        return base64.b64encode(packed).decode().translate(_TO_URL)

    def _sign(self, claims: "_Claims") -> str:
        text = "".join(f"{name}:{value}\n" for name, value in claims.fields().items())
        digest = hmac.digest(self.key.encode(), text.encode(), hashlib.sha256)
        return base64.b64encode(digest).decode()

    def _verify(self, signature: str, user: str, now: float) -> "_Claims":
        claims, sig = _unpack(signature)
        if claims.sdkappid != self.sdkappid:
            raise Unauthorized("signature: made for another app")
        if claims.identifier != user:
            raise Unauthorized("signature: made for another user")
        if not hmac.compare_digest(sig.encode(), self._sign(claims).encode()):
            raise Unauthorized("signature: not signed with this app's key")
        if now > claims.time + claims.expire:
            raise Unauthorized("signature: expired")
        return claims

    def _userbuf(self, user: str, room: int | str, expires: int, privileges: int) -> bytes:
        """The big-endian record of a PrivateMapKey; a string room's name stands at its end."""
        account = user.encode()
        name = room.encode() if isinstance(room, str) else b""
        number = room if isinstance(room, int) else 0
        packed = struct.pack(">BH", isinstance(room, str), len(account)) + account
        packed += struct.pack(">5I", self.sdkappid, number, expires, privileges, 0)
        return packed + (struct.pack(">H", len(name)) + name if isinstance(room, str) else b"")


@dataclass(frozen=True, slots=True)
class _Claims:
    identifier: str
    sdkappid: int
    time: int
    expire: int
    userbuf: str | None = None

    def fields(self) -> dict[str, str | int]:
        """What is signed, in the order it is signed in."""
        fields: dict[str, str | int] = {
            "TLS.identifier": self.identifier,
            "TLS.sdkappid": self.sdkappid,
            "TLS.time": self.time,
            "TLS.expire": self.expire,
        }
        return fields if self.userbuf is None else fields | {"TLS.userbuf": self.userbuf}


def _unpack(signature: str) -> tuple[_Claims, str]:
    """What a signature claims, and the proof it brings along. Nothing inflates past MAX_JSON."""
    if len(signature) > MAX_TEXT:
        raise Unauthorized(f"signature: longer than {MAX_TEXT} characters")
    try:
        packed = base64.b64decode(signature.translate(_FROM_URL), validate=True)
        inflate = zlib.decompressobj()
        text = inflate.decompress(packed, MAX_JSON)
        fields = json.loads(text) if inflate.eof else None
    except (ValueError, zlib.error, RecursionError):
        raise Unauthorized("signature: malformed") from None
    if not isinstance(fields, dict) or fields.get("TLS.ver") != _VERSION:
        raise Unauthorized(f"signature: malformed, or not of version {_VERSION}")
    claims = _Claims(
        _text(fields, "TLS.identifier"),
        _whole(fields, "TLS.sdkappid"),
        _whole(fields, "TLS.time"),
        _whole(fields, "TLS.expire"),
        _text(fields, "TLS.userbuf") if "TLS.userbuf" in fields else None,
    )
    return claims, _text(fields, "TLS.sig")


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    # A lone surrogate is legal in JSON and has no UTF-8.
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Unauthorized(f"signature: malformed ({name})")
    return value


def _whole(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise Unauthorized(f"signature: malformed ({name})")
    return value
