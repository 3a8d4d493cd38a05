"""Who calls: API keys of all applications, and what a request must show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slicer.api.errors import ApiError
from slicer.api.signature import Authorization, Message, verify
from slicer.errors import BadInput
from slicer.service.order import Application

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose signature is proved, who signed at *timestamp*, UTC in seconds, with the key
    of id *key*."""

    key: str
    apps: frozenset[int]
    signature: str
    timestamp: int


class Keys:
    """The API keys. One key may serve several applications. Raises BadInput where two differ."""

    def __init__(self, apps: Iterable[Application]) -> None:
        self._secrets: dict[str, str] = {}
        self._apps: dict[str, set[int]] = {}
        for app in apps:
            for secret_id, secret_key in app.secrets:
                if self._secrets.setdefault(secret_id, secret_key) != secret_key:
                    raise BadInput("secrets", secret_id, "one secret key for each id")
                self._apps.setdefault(secret_id, set()).add(app.sdk_app_id)

    def authenticate(self, message: Message, now: float) -> Caller:
        """Who signed *message*. *now* is UTC in seconds. Raises ApiError."""
        if message.headers.get("x-tc-token"):
            raise ApiError("AuthFailure.TokenFailure", "X-TC-Token: allowed: none, only fixed keys")
        header = message.headers.get("authorization", "")
        if not header and _is_signed_the_old_way(message):
            raise ApiError(
                "AuthFailure.UnsupportedOperation",
                "SignatureMethod: HmacSHA1 or HmacSHA256; allowed: TC3-HMAC-SHA256",
            )
        claimed = Authorization.parse(header)
        secret_key = self._secrets.get(claimed.secret_id)
        if secret_key is None:
            raise ApiError("AuthFailure.SecretIdNotFound", "Credential: no key has this id")
        timestamp = verify(message, claimed, secret_key, now)
        apps = frozenset(self._apps[claimed.secret_id])
        return Caller(claimed.secret_id, apps, claimed.signature, timestamp)


def find_app(apps: Mapping[int, Application], number: int, caller: Caller | None) -> Application:
    """The application that a request names, if its caller may use it. Raises ApiError."""
    app = apps.get(number)
    if app is None:
        raise ApiError(
            "InvalidParameter.SdkAppId",
            f"SdkAppId: got {number}; allowed: an application configured here",
        )
    if caller is not None and number not in caller.apps:
        raise ApiError(
            "AuthFailure.UnauthorizedOperation",
            f"SdkAppId: got {number}; allowed: an application of the key that signed",
        )
    return app


def _is_signed_the_old_way(message: Message) -> bool:
    """Whether the signature is a parameter, as clients set to HmacSHA1 or HmacSHA256 send it."""
    is_form = message.headers.get("content-type", "").startswith(_FORM)
    form = message.body.decode(errors="replace") if is_form else ""
    return any("&Signature=" in f"&{text}" for text in (message.query, form))
