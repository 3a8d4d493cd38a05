"""The service without its API: registry, webhooks, engine and orders, opened and closed."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from slicer.clock import Clock, LoopClock
from slicer.delivery.sharing import Sharing
from slicer.engine.engine import Engine
from slicer.engine.stages import Observe
from slicer.errors import BadInput
from slicer.permissions import private_folder
from slicer.rooms import parse_room
from slicer.rooms.redaction import shown
from slicer.rooms.whip.authorization import authorization
from slicer.service.admission import Admission
from slicer.service.applications import Application
from slicer.service.audit import Audit
from slicer.service.control import control
from slicer.service.encryption import Encryption
from slicer.service.messages import body
from slicer.service.notifier import Notifier
from slicer.service.operations import Operations
from slicer.service.publishers import Publishers
from slicer.service.registry import Registry
from slicer.service.rooms import example_url
from slicer.service.service import Service
from slicer.service.settings import ServeSettings, ServiceSettings
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.webhooks.client import WebhookClient
from slicer.webhooks.queue import WebhookQueue
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sender import Sender, Subscriber

KEY_FILE = "key"


@asynccontextmanager
async def serving(
    settings: ServiceSettings, observe: Observe | None = None
) -> AsyncIterator[Service]:
    """Take orders until the context ends; every unfinished task is taken up by then. *observe*: as
    an Engine's.

    Raises BadInput for a state folder, a key or a registry that cannot be used.
    """
    folder, clock = Path(settings.serve.state), LoopClock()
    check_folder(folder, settings.serve)
    key_file = Path(settings.serve.state_key_file or folder / KEY_FILE)
    encryption = Encryption.open(settings.serve.state_keys, key_file)
    async with AsyncExitStack() as stack:
        registry = await SqliteRegistry.open(folder, encryption)
        stack.push_async_callback(registry.close)
        audit = await Audit.open(folder)
        stack.push_async_callback(audit.close)
        subscribers = subscribers_of(settings.apps)
        sender = await _open_sender(settings, folder, clock, stack, subscribers)
        notifier, admission, engine = slicing(settings, registry, sender, clock, observe)
        await stack.enter_async_context(engine)

        def take_settings(new: ServiceSettings) -> None:
            check_rooms(new.apps, engine)
            admission.replace(new.apps, authorization(new.engine.whip, clock))
            subscribers.clear()
            subscribers.update(subscribers_of(new.apps))

        service = Service(engine, registry, notifier, settings, clock, take_settings, sender)
        service.operations = Operations(engine, registry, sender, audit, folder)
        stack.push_async_callback(service.close)
        check_rooms(settings.apps, engine)
        await service.start()
        await stack.enter_async_context(
            control(folder, service.operations.tasks, registry.snapshot)
        )
        yield service


def slicing(
    settings: ServiceSettings,
    registry: Registry,
    sender: Sender,
    clock: Clock,
    observe: Observe | None,
    sharing: Sharing | None = None,
    publishers: Publishers | None = None,
) -> tuple[Notifier, Admission, Engine]:
    """An engine whose slices are told to the customers of these tasks, and who may publish in its
    rooms. *observe*, *sharing*: as an Engine's; *publishers*: leads those who come here for a room
    that another process has."""
    notifier = Notifier(
        registry, sender.send, clock, settings.engine.moderation.raw, settings.vendors.etags
    )
    whip = authorization(settings.engine.whip, clock)
    owners = publishers.rooms.apps if publishers else None
    admission = Admission(settings.apps, registry, clock, whip, owners)
    authorize = publishers.leading(admission.authorize) if publishers else admission.authorize
    engine = Engine(
        settings.engine,
        lookup=notifier.lookup,
        moderation=notifier.moderation,
        confirm=notifier.confirm,
        confirm_verdict=notifier.confirm_verdict,
        sharing=sharing,
        authorize=authorize,
        observe=observe,
    )
    return notifier, admission, engine


def check_folder(folder: Path, settings: ServeSettings) -> None:
    """Raise BadInput unless the state can be kept there."""
    try:
        private_folder("serve.state", folder, group=settings.group_writes)
    except OSError as error:
        allowed = f"a folder that can be made and written ({error.strerror})"
        raise BadInput("serve.state", str(folder), allowed) from None


def check_rooms(apps: Iterable[Application], engine: Engine) -> None:
    """Raise BadInput where no room could ever be entered by an application's settings."""
    for index, app in enumerate(apps):
        for number, (_, pattern) in enumerate(app.rooms):
            url = parse_room(example_url(pattern))
            if not url.netloc:
                continue  # a file: which one depends on the room
            try:
                engine.connector(url.scheme).check(url)
            except BadInput as error:
                if not error.field.startswith("room"):
                    raise  # of another setting, which it names
                field = f"apps[{index}].rooms[{number}].url"
                raise BadInput(field, shown(pattern), error.allowed) from None


async def _open_sender(
    settings: ServiceSettings,
    folder: Path,
    clock: LoopClock,
    stack: AsyncExitStack,
    subscribers: Mapping[int, Subscriber],
) -> Sender:
    queue = await WebhookQueue.open(folder, settings.webhooks.bound)
    stack.push_async_callback(queue.close)
    client = WebhookClient(settings.webhooks.allow_private)
    stack.push_async_callback(client.close)
    policy = RetryPolicy(settings.webhooks.max_age)
    sender = Sender(queue, subscribers.get, body, client.post, clock, policy)
    stack.push_async_callback(sender.close)
    return sender


def subscribers_of(apps: Iterable[Application]) -> dict[int, Subscriber]:
    """Where each application's webhooks go, for those that want any."""
    return {app.sdk_app_id: _subscriber(app) for app in apps if app.callback_url}


def _subscriber(app: Application) -> Subscriber:
    headers = {"SdkAppId": str(app.sdk_app_id)}
    return Subscriber(app.callback_url, app.callback_key, headers)
