"""A caller of the API in the same process: signs as TRTC's clients do; a taker that records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.types import Message as Event

from slicer.api import ApiSettings, make_app
from slicer.api.signature import Message, canonical_request
from slicer.delivery.judging import Outcome
from slicer.engine.task_status import TaskStatus
from slicer.fleet.limits import SharedLimits
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind, Role
from slicer.service.applications import Application
from slicer.service.audio import AudioFile, JudgedAudio
from slicer.service.audit import AuditEntry
from slicer.service.order import Order, Product
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription
from slicer.tc3 import sign

SEEDS = Path(__file__).parents[2] / "api" / "seeds"
NOW = 1_750_000_000
KEY_ID, KEY = "AKIDtest", "secret-of-the-test"
APP = Application(200806, secrets=((KEY_ID, KEY),), rooms=(("*", "whip://127.0.0.1:0/{room}"),))
OTHER = Application(200807, secrets=(("AKIDother", "secret-of-the-other"),))
SETTINGS = ApiSettings()
HEADERS = {"X-TC-Version": "2019-07-22", "X-TC-Region": "ap-singapore"}


STATUS = TaskStatus(
    "task-1", State.RUNNING, ("ann",), (("ann", Kind.AUDIO, Role.MAIN),), Subscription(), 0, 0, 0
)


EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "CreateLiveStreamModeration": {
        "SdkAppId": 200806,
        "Input": {"Url": "rtmp://live.example.com/app/key", "Format": "rtmp"},
        "LiveModerationParams": {"ModerationType": 3, "SaveModerationFile": 0},
        "DataId": "mine",
        "SourceInfo": {"RoomId": "150", "RoomIdType": 1, "UserId": "ada"},
    },
    "CreateAudioModerationSync": {
        "Sdkappid": 200806,
        "DataId": "mine",
        "FileFormat": "wav",
        "FileContent": "AAAA",
    },
}


def seed(action: str) -> dict[str, object]:
    """The example body of a seed page; ours where TRTC has none."""
    if action in EXAMPLES:
        return dict(EXAMPLES[action])
    body: dict[str, object] = json.loads((SEEDS / f"{action}.json").read_text())
    return body


@dataclass
class Recorder:
    """Takes orders and remembers them; raises *error* where one is set."""

    error: Exception | None = None
    orders: list[Order] = field(default_factory=list)
    modified: list[tuple[str, Subscription]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    status: TaskStatus = STATUS
    judged: list[tuple[AudioFile, str]] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Verdict)
    whip: str = ""

    def whip_url(self, _task: str) -> str:
        return self.whip

    async def judge(self, audio: AudioFile, supplier: str) -> JudgedAudio:
        self._fail()
        self.judged.append((audio, supplier))
        return JudgedAudio("task-1", self.outcome, 1.5)

    async def create(self, _app: Application, order: Order) -> str:
        self._fail()
        self.orders.append(order)
        return f"task-{len(self.orders)}"

    async def describe(self, _app: Application, _service: Product, task: str) -> TaskStatus:
        self._fail()
        return replace(self.status, task=task)

    async def modify(
        self, _app: Application, _service: Product, task: str, lists: Subscription
    ) -> None:
        self._fail()
        self.modified.append((task, lists))

    async def delete(self, _app: Application, _service: Product, task: str) -> None:
        self._fail()
        self.deleted.append(task)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def authorize(
    message: Message,
    timestamp: float = NOW,
    key_id: str = KEY_ID,
    key: str = KEY,
    also: tuple[str, ...] = (),
) -> str:
    """The Authorization header of a message, as the SDKs make it; *also*: headers to be signed
    besides."""
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    names = ("content-type", "host", *also)
    canonical = canonical_request(message, names)
    signature = sign(key, int(timestamp), date, "trtc", canonical)
    return (
        f"TC3-HMAC-SHA256 Credential={key_id}/{date}/trtc/tc3_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )


@dataclass
class Caller:
    """Sends signed requests to an app in this process. *now* is its clock, and the app's."""

    orders: Recorder = field(default_factory=Recorder)
    apps: Mapping[int, Application] = field(
        default_factory=lambda: {APP.sdk_app_id: APP, OTHER.sdk_app_id: OTHER}
    )
    settings: ApiSettings = SETTINGS
    now: float = NOW
    monotonic: float = 0.0
    noted: list[AuditEntry] = field(default_factory=list)
    shared: SharedLimits | None = None

    def __post_init__(self) -> None:
        app = make_app(
            self.apps,
            self.orders,
            self.settings,
            note=self.noted.append,
            shared=self.shared,
            now=lambda: self.now,
            monotonic=lambda: self.monotonic,
        )
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def post(
        self, action: str, body: Mapping[str, object] | bytes, **headers: str
    ) -> dict[str, object]:
        """The object under Response. *headers* stand over those of every request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {
            "content-type": "application/json",
            "host": "127.0.0.1",
            "x-tc-action": action,
            "x-tc-timestamp": str(int(self.now)),
        }
        given |= {name.lower(): value for name, value in HEADERS.items()}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if "authorization" not in given:
            given["authorization"] = authorize(Message("POST", "/", "", given, content), self.now)
        return answer_of(await self.client.post("/", content=content, headers=given))

    async def get(self, action: str, query: str) -> dict[str, object]:
        """The same by GET, with parameters in a query."""
        given = {
            "content-type": "application/x-www-form-urlencoded",
            "host": "127.0.0.1",
            "x-tc-action": action,
            "x-tc-timestamp": str(int(self.now)),
        }
        given |= {name.lower(): value for name, value in HEADERS.items()}
        given["authorization"] = authorize(Message("GET", "/", query, given, b""), self.now)
        return answer_of(await self.client.get(f"/?{query}", headers=given))

    async def code(self, action: str, body: Mapping[str, object] | bytes, **headers: str) -> str:
        """The code of the error that comes back; nothing where none does."""
        return code_of(await self.post(action, body, **headers))


def answer_of(response: httpx.Response) -> dict[str, object]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()["Response"]
    assert len(answer["RequestId"]) == 36
    assert isinstance(answer, dict)
    return answer


def code_of(answer: Mapping[str, object]) -> str:
    error = answer.get("Error")
    return error["Code"] if isinstance(error, dict) else ""


def message_of(answer: Mapping[str, object]) -> str:
    error = answer["Error"]
    assert isinstance(error, dict)
    message = error["Message"]
    assert isinstance(message, str)
    return message


def failing(error: Exception) -> Caller:
    """A caller of a service that answers everything with this error."""
    return Caller(Recorder(error=error))


async def exchange(
    app: Starlette, method: str, query: bytes, headers: Mapping[str, str], body: bytes
) -> tuple[int, bytes]:
    """One request to `/` straight into the app, without a client's cost: status and body."""
    sent: list[Event] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "method": method,
        "path": "/",
        "root_path": "",
        "query_string": query,
        "headers": [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
        ],
    }

    async def receive() -> Event:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Event) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
