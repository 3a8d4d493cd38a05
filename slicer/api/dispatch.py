"""One request to one answer, however it came.

A request passes, in this order: signature and host; action, version, region; the body's form; its
application; the rate limit; the signature's first use; the fields; replay; the robot's signature;
then it is carried out. What is wrong first is answered.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from slicer.api.actions import Answer, carry_out
from slicer.api.body import read_json, read_query
from slicer.api.errors import WRONG_VALUE, ApiError, code_of
from slicer.api.fields import Reader
from slicer.api.keys import Caller, Keys, find_app
from slicer.api.limits import RateLimit, Signatures
from slicer.api.schema import ACTIONS, VERSION, Action, Verb
from slicer.api.signature import MAX_SKEW, UNSIGNED_PAYLOAD, Message
from slicer.errors import BadInput, shown
from slicer.fleet.limits import RATE, SharedLimits
from slicer.moderation.settings import DEFAULT_SUPPLIER
from slicer.service.audit import AuditEntry, AuditKind
from slicer.service.order import Application, OrderTaker
from slicer.service.settings import REGIONS

MAX_BODY = 256 * 1024
"""Largest body, in bytes; what a request can need is some 20 KB. TRTC takes 10 MB."""
DEADLINE = 6.0
MAX_NONCE = 64

MAX_AUDITED = 200
"""Characters of an application and a task in the audit; the outcome comes after them."""

_AUDITED = {Verb.CREATE, Verb.MODIFY, Verb.DELETE}
# Repeating these changes nothing: they may come again under the same signature.
_REPEATABLE = {Verb.DESCRIBE, Verb.DELETE}


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The limits of the API."""

    insecure: bool = False
    """No signature is asked for, and requests are taken for a loopback Host only."""
    hosts: tuple[str, ...] = ()
    """Hosts that requests may be signed for; empty: all but Tencent's own."""
    max_body: int = MAX_BODY
    deadline: float = DEADLINE
    """Seconds from a request's first byte to its answer."""
    regions: tuple[str, ...] = REGIONS
    """Values of X-TC-Region that are answered."""
    default_supplier: str = DEFAULT_SUPPLIER
    """Who judges where a request names nobody."""
    rate: int = RATE
    """Requests in a second for each action and application."""


class Dispatcher:
    """Answers requests to these applications; its limits and memory are for all of them."""

    def __init__(
        self,
        apps: Mapping[int, Application],
        orders: OrderTaker,
        settings: ApiSettings,
        note: Callable[[AuditEntry], None],
        shared: SharedLimits | None = None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*note*: is told who has created, modified or deleted a task, and what came of it.
        *shared*: limits and memory that other copies of the API have, too. *now* is UTC in seconds;
        *monotonic*, seconds that never step back."""
        self._orders, self._settings, self._note = orders, settings, note
        self._shared, self._now, self._monotonic = shared, now, monotonic
        self.replace(apps)
        self._rate = RateLimit(settings.rate)
        self._signatures = Signatures()

    def replace(self, apps: Mapping[int, Application]) -> None:
        """Serve these applications from here on; limits, and what was seen, stay as they are.

        Raises BadInput where one cannot be served, and nothing has changed then.
        """
        for app in apps.values():
            if app.permission_control and not app.usersig_key:
                raise BadInput("usersig_key", "nothing", "a key, since permission_control is on")
        self._keys, self.apps = Keys(apps.values()), apps

    async def answer(self, message: Message, source: str = "") -> Answer:
        """Check it and carry it out; *source*: the address that it comes from. Raises
        SlicerError."""
        now = self._now()
        caller = self._authenticate(message, now)
        action = _action(message.headers, self._settings.regions)
        reader, body = _read_body(message)
        app = self._app(body, action, caller, reader)
        name = message.headers["x-tc-action"]
        if not await self._within_rate(name, app):
            raise ApiError(
                "RequestLimitExceeded",
                f"{name}: allowed: {self._settings.rate} a second for each SdkAppId",
            )

        async def work() -> Answer:
            if caller is not None:
                await self._refuse_other_use(name, app, action, caller, message, now)
            values = reader.read(action.fields, body)
            if caller is not None and action.verb not in _REPEATABLE:
                self._refuse_replay(name, caller, message.headers.get("x-tc-nonce", ""), now)
            supplier = self._settings.default_supplier
            return await carry_out(action, app, values, self._orders, now, supplier)

        if action.verb not in _AUDITED:
            return await work()
        who = source if caller is None else f"{caller.key} ({source})"
        asked = f"application {app.sdk_app_id}, task {body.get('TaskId', 'none')}"
        return await self._audited(work(), AuditEntry(now, who, name, asked, AuditKind.API))

    async def _audited(self, work: Awaitable[Answer], entry: AuditEntry) -> Answer:
        """Carry it out, and have noted what came of it: ok and the task, or the error's code."""
        detail, outcome = (
            entry.detail,
            "given up",
        )  # where its sender has gone, or it takes too long
        try:
            answer = await work
            detail, outcome = f"{detail.partition(',')[0]}, task {answer['TaskId']}", "ok"
        except Exception as error:
            outcome = code_of(error)
            raise
        else:
            return answer
        finally:
            self._note(replace(entry, detail=f"{detail[:MAX_AUDITED]}: {outcome}"))

    def _authenticate(self, message: Message, now: float) -> Caller | None:
        host = _host(message.headers.get("host", ""))
        if not self._settings.insecure:
            caller = self._keys.authenticate(message, now)
            # The signature proves that the request was meant for this host; it must be ours.
            if not is_expected(host, self._settings.hosts):
                allowed = ", ".join(self._settings.hosts) or "any that is not Tencent's own"
                text = f"Host: signed for {shown(host)}; allowed: {allowed} (serve.hosts)"
                raise ApiError("AuthFailure.SignatureFailure", text)
            return caller
        # A page of another site could have its name resolve to this machine.
        if not is_loopback(host):
            raise ApiError("AuthFailure", "Host: allowed without signatures: a loopback address")
        return None

    def _app(
        self, body: Mapping[str, object], action: Action, caller: Caller | None, reader: Reader
    ) -> Application:
        """The application, before anything else is read: limits are by application."""
        field = action.fields[0]  # SdkAppId, in whatever letters
        values = reader.read((field,), {field.name: body.get(field.name)})
        return find_app(self.apps, values.whole(field.name), caller)

    async def _within_rate(self, name: str, app: Application) -> bool:
        """Whether one more request is within the limits, this copy's own first. Raises
        BusUnavailable."""
        if not self._rate.take((name, app.sdk_app_id), self._monotonic()):
            return False
        return self._shared is None or await self._shared.take(app.sdk_app_id, name)

    async def _refuse_other_use(
        self,
        name: str,
        app: Application,
        action: Action,
        caller: Caller,
        message: Message,
        now: float,
    ) -> None:
        """Describe changes nothing, so it may come under any signature; it counts as the first use
        of one, so that no other action follows it. Raises BusUnavailable where other copies cannot
        be asked."""
        use = name
        if message.headers.get("x-tc-content-sha256") == UNSIGNED_PAYLOAD:
            use += " " + hashlib.sha256(message.body).hexdigest()
        until = caller.timestamp + MAX_SKEW
        number, signature = app.sdk_app_id, caller.signature
        first = self._signatures.first_use(number, signature, use, until, now)
        if first is None:
            raise ApiError("RequestLimitExceeded", "too many requests within five minutes")
        if first == use and self._shared is not None:
            nonce = message.headers.get("x-tc-nonce", "")[:MAX_NONCE]
            elsewhere = await self._shared.first_use(number, signature, use, nonce)
            if elsewhere is not None:
                first = elsewhere.use
                if first == use and elsewhere.is_replay and action.verb not in _REPEATABLE:
                    raise _replayed(name)
        if first != use and action.verb is not Verb.DESCRIBE:
            raise ApiError(
                "AuthFailure.SignatureReplayed",
                f"{name}: this signature came with {first.partition(' ')[0]} before; allowed: one "
                "with a new timestamp, or over x-tc-action and the body",
            )

    def _refuse_replay(self, name: str, caller: Caller, nonce: str, now: float) -> None:
        if len(nonce) > MAX_NONCE:
            got = f"{len(nonce)} characters"
            raise ApiError(WRONG_VALUE, f"X-TC-Nonce: got {got}; allowed: {MAX_NONCE} at most")
        if self._signatures.is_replay(caller.signature, nonce, now):
            raise _replayed(name)


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, can only be this machine."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_expected(host: str, hosts: Sequence[str]) -> bool:
    """Whether a request for *host* is for us. Unless hosts are named, all are but Tencent's own:
    who calls both with one key must not have one's requests carried out by the other."""
    if hosts:
        return host in {one.lower() for one in hosts}
    return "tencentcloudapi" not in host.split(".")


def _replayed(name: str) -> ApiError:
    text = f"{name}: this signed request came before; allowed: one with a new timestamp"
    return ApiError("AuthFailure.SignatureReplayed", text)


def _host(authority: str) -> str:
    """The host of `host:port`, or of `http://host:port` as tccli sends it; nothing if malformed."""
    try:
        return urlsplit(f"//{authority.removeprefix('http://')}").hostname or ""
    except ValueError:
        return ""


def _action(headers: Mapping[str, str], regions: tuple[str, ...]) -> Action:
    """What is asked for, in a version and a region that are answered. Raises ApiError."""
    name, version = headers.get("x-tc-action", ""), headers.get("x-tc-version", "")
    action = ACTIONS.get(name)
    if action is None:
        allowed = ", ".join(ACTIONS)
        raise ApiError("InvalidAction", f"X-TC-Action: got {shown(name)}; allowed: {allowed}")
    if version != VERSION:
        raise ApiError("NoSuchVersion", f"X-TC-Version: got {shown(version)}; allowed: {VERSION}")
    region = headers.get("x-tc-region", "")
    if region not in regions:
        code = "UnsupportedRegion" if region else "MissingParameter"
        allowed = ", ".join(regions)
        raise ApiError(code, f"X-TC-Region: got {shown(region)}; allowed: {allowed}")
    return action


def _read_body(message: Message) -> tuple[Reader, Mapping[str, object]]:
    if message.method == "GET":
        return Reader(textual=True), read_query(message.query)
    kind = message.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(
            "UnsupportedProtocol", f"Content-Type: got {shown(kind)}; allowed: application/json"
        )
    return Reader(), read_json(message.body)
