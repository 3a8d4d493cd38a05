"""What the API keeps to, whatever is sent: 10 000 requests, not one 500, hang or secret told."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from slicer.api import ApiSettings, make_app
from slicer.api.schema import ACTIONS
from slicer.api.signature import Message
from slicer.errors import BadInput, LimitReached, RoomError, TaskNotExist
from slicer.service.applications import Application
from slicer.usersig import SdkApp
from tests.harness.service.api import NOW, Recorder, authorize, exchange, seed

EXAMPLES, REQUESTS = 300, 5
SECONDS = 6.0

# Every secret there is holds this word: in the settings, in bodies, and in errors of the service.
PLANTED = "PLANTED"
APP = Application(
    200806,
    usersig_key=f"{PLANTED}-usersig",
    secrets=(("AKID", f"{PLANTED}-api"),),
    callback_url="https://example.org/",
    callback_key=f"{PLANTED}callback",
    permission_control=True,
)
LOOSE = replace(APP, sdk_app_id=200807, usersig_key="", permission_control=False)
SECRET_FIELDS = ("UserSig", "PrivateMapKey", "AccessKey", "SecretKey", "SecretId", "Url", "Token")
SIGNER = SdkApp(200806, APP.usersig_key)
DOCUMENTED = set(
    re.findall(
        r"^\| `([A-Z]\w+(?:\.\w+)?)` \|",
        (Path(__file__).parents[2] / "docs/api.md").read_text(),
        re.M,
    )
)
ERRORS: list[Exception | None] = [
    *[None] * 10,
    RoomError("no"),
    LimitReached("no"),
    TaskNotExist("no"),
    BadInput("vendor", 1, "0"),
    RuntimeError(f"{PLANTED} in a fault"),
]


def planted(value: object) -> object:
    """A body with the word in all its secrets."""
    if isinstance(value, list):
        return [planted(inner) for inner in value]
    if isinstance(value, dict):
        return {
            name: f"{PLANTED}-{name}" if name in SECRET_FIELDS else planted(inner)
            for name, inner in value.items()
        }
    return value


def bodies() -> Iterator[tuple[str, dict[str, object]]]:
    """For each action, what is answered well: the mutations start from there."""
    tickets = {
        "UserSig": SIGNER.usersig("inspect", NOW),
        "PrivateMapKey": SIGNER.private_map_key("inspect", 150, NOW),
    }
    task = {"SdkAppId": 200806, "TaskId": "t"}
    for name in ACTIONS:
        body = planted(seed(name)) if name.startswith("Create") else task
        assert isinstance(body, dict)
        yield (
            name,
            body
            | {ACTIONS[name].fields[0].name: 200807}
            | (
                {"SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["a"]}}
                if "Modify" in name
                else {}
            ),
        )
        if name == "CreateCloudSliceTask":
            yield name, body | tickets


GOOD = list(bodies())
LATIN = st.characters(max_codepoint=255)
WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "\ud800", "x" * 3_000, 0, 2**64, [], {}, ["x"] * 40, "1.*$", "../.."]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@dataclass(frozen=True)
class Sent:
    """One request, before it is signed."""

    action: str
    method: str
    body: bytes
    query: str
    headers: dict[str, str]


def paths(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from paths(inner, (*path, name))


def mutated(body: dict[str, object], path: tuple[str, ...], value: object) -> dict[str, object]:
    """The body with another value at a path."""
    name, rest = path[0], path[1:]
    inner = body.get(name)
    return body | {name: mutated(inner, rest, value) if rest and isinstance(inner, dict) else value}


def flattened(value: object, path: str = "") -> Iterator[str]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else None
    )
    if inner is None:
        yield f"{path}={quote(str(value).encode(errors='replace'))}"
    else:
        for name, one in inner:
            yield from flattened(one, f"{path}.{name}" if path else str(name))


HEADERS = (
    "x-tc-action", "x-tc-version", "x-tc-region", "x-tc-timestamp", "x-tc-token",
    "x-tc-content-sha256", "content-type", "authorization", "host",
)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> list[Sent]:
    """A good body with a few things changed, sent in five ways."""
    name, body = draw(st.sampled_from(GOOD))
    for path in draw(st.lists(st.sampled_from(sorted(paths(body))), max_size=2)):
        body = mutated(body, path, draw(WILD))
    if draw(st.booleans()):
        body = body | draw(st.dictionaries(st.text(max_size=5), WILD, max_size=1))
    content = json.dumps(body).encode()
    cut, bytes_in = draw(st.integers(0, len(content))), draw(st.binary(max_size=5))
    other = draw(st.sampled_from(sorted(ACTIONS)))
    header = {draw(st.sampled_from(HEADERS)): draw(st.text(LATIN, max_size=20))}
    query = "&".join(flattened(body))
    return [
        Sent(name, "POST", content, "", {}),
        Sent(name, "GET", b"", query, {}),
        Sent(name, "POST", content[:cut] + bytes_in + content[cut:], "", {}),
        Sent(other, "POST", content, "", {}),
        Sent(name, "POST", content, "", header),
    ]


async def send(app: Starlette, sent: Sent) -> dict[str, object]:
    """The answer under Response, once the whole is known to be of its form."""
    headers = {
        "content-type": "application/json",
        "host": "127.0.0.1",
        "x-tc-action": sent.action,
        "x-tc-version": "2019-07-22",
        "x-tc-region": "ap-singapore",
        "x-tc-timestamp": str(NOW),
    } | sent.headers
    if "authorization" not in sent.headers:
        message = Message(sent.method, "/", sent.query, headers, sent.body)
        headers["authorization"] = authorize(message, NOW, *APP.secrets[0])
    async with asyncio.timeout(SECONDS):
        status, answered = await exchange(
            app,
            sent.method,
            sent.query.encode(),
            headers,
            sent.body,
        )
    assert status == 200
    assert PLANTED.encode() not in answered
    answer = json.loads(answered)["Response"]
    assert isinstance(answer, dict)
    assert len(answer["RequestId"]) == 36
    return answer


class Listener(logging.Handler):
    """Keeps every line of every log, as a formatter writes it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@pytest.fixture
def log() -> Iterator[list[str]]:
    listener, root = Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener.lines
    root.removeHandler(listener)
    root.setLevel(level)


def test_thousands_of_requests(log: list[str]) -> None:
    codes: dict[str, int] = {}
    orders = Recorder()
    limits = ApiSettings(rate=10**9)
    app = make_app({200806: APP, 200807: LOOSE}, orders, limits, now=lambda: NOW)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(), st.sampled_from(ERRORS))
    def run(batch: list[Sent], error: Exception | None) -> None:
        orders.error = error

        async def all_of_them() -> None:
            for sent in batch:
                answer = await send(app, sent)
                wrong = answer.get("Error")
                code = wrong["Code"] if isinstance(wrong, dict) else "ok"
                codes[code] = codes.get(code, 0) + 1
                assert code in DOCUMENTED | {"ok"}
                if not isinstance(error, RuntimeError):
                    assert code != "InternalError.CSInternalError"

        runner.run(all_of_them())
        assert PLANTED not in "\n".join(log)
        log.clear()

    with asyncio.Runner() as runner:
        run()
    assert sum(codes.values()) >= EXAMPLES * REQUESTS
    # It was no monologue: a good part got through, and most refusals have been heard.
    assert codes["ok"] > 75
    assert len(codes) > 25, codes


@pytest.mark.parametrize(("name", "body"), GOOD)
async def test_what_the_mutations_start_from_is_good(name: str, body: dict[str, object]) -> None:
    app = make_app({200806: APP, 200807: LOOSE}, Recorder(), now=lambda: NOW)
    for method in ("POST", "GET"):
        query = "&".join(flattened(body)) if method == "GET" else ""
        answer = await send(app, Sent(name, method, json.dumps(body).encode(), query, {}))
        assert "Error" not in answer, answer
