"""The service without its face: registry, callbacks, engine and orders, opened and closed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from slicer.clock import LoopClock
from slicer.engine.engine import Engine
from slicer.service.admission import Admission
from slicer.service.encryption import Encryption
from slicer.service.notifier import Notifier
from slicer.service.registry import Registry
from slicer.service.service import Service
from slicer.service.settings import ServiceSettings
from slicer.webhooks.poster import Poster
from slicer.webhooks.queue import WebhookQueue
from slicer.webhooks.schedule import PATIENT, TRTC_MINUTE
from slicer.webhooks.sender import Receiver, Sender

KEY_FILE = "key"


@asynccontextmanager
async def serving(settings: ServiceSettings) -> AsyncIterator[Service]:
    """Take orders until the context ends; every unfinished task is taken up by then.

    Raises BadInput for a state folder, a key or a registry that cannot be used.
    """
    folder, clock = Path(settings.serve.state), LoopClock()
    key_file = Path(settings.serve.state_key_file or folder / KEY_FILE)
    encryption = Encryption.open(settings.serve.state_keys, key_file)
    async with AsyncExitStack() as stack:
        registry = await Registry.open(folder, encryption)
        stack.push_async_callback(registry.close)
        sender = await _open_sender(settings, folder, clock, stack)
        notifier = Notifier(registry, sender.tell, clock)
        admission = Admission(settings.apps, registry, clock)
        engine = Engine(
            settings.engine,
            lookup=notifier.lookup,
            confirm=notifier.confirm,
            authorize=admission.authorize,
        )
        await stack.enter_async_context(engine)
        service = Service(engine, registry, notifier, settings, clock)
        stack.push_async_callback(service.close)
        await service.start()
        yield service


async def _open_sender(
    settings: ServiceSettings, folder: Path, clock: LoopClock, stack: AsyncExitStack
) -> Sender:
    receivers = {
        app.sdk_app_id: Receiver(app.callback_url, app.callback_key)
        for app in settings.apps
        if app.callback_url
    }
    queue = await WebhookQueue.open(folder, settings.webhooks.bound)
    stack.push_async_callback(queue.close)
    poster = Poster(settings.webhooks.allow_private)
    stack.push_async_callback(poster.close)
    schedule = TRTC_MINUTE if settings.webhooks.trtc_minute else PATIENT
    sender = Sender(queue, receivers.get, poster.post, clock, schedule)
    stack.push_async_callback(sender.close)
    return sender
