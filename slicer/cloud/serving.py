"""The service without its face: registry, callbacks, engine and orders, opened and closed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from slicer.callbacks.mailbox import Mailbox
from slicer.callbacks.poster import Poster
from slicer.callbacks.schedule import PATIENT, TRTC_MINUTE
from slicer.callbacks.sender import Receiver, Sender
from slicer.clock import LoopClock
from slicer.cloud.admission import Admission
from slicer.cloud.cloud import Cloud
from slicer.cloud.journal import Journal
from slicer.cloud.registry import Registry
from slicer.cloud.vault import Vault
from slicer.service.engine import Engine
from slicer.settings import Settings

KEY_FILE = "key"


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Cloud]:
    """Take orders until the context ends; every unfinished task is taken up by then.

    Raises BadInput for a state folder, a key or a registry that cannot be used.
    """
    folder, clock = Path(settings.serve.state), LoopClock()
    key_file = Path(settings.serve.state_key_file or folder / KEY_FILE)
    vault = Vault.open(settings.serve.state_keys, key_file)
    async with AsyncExitStack() as stack:
        registry = await Registry.open(folder, vault)
        stack.push_async_callback(registry.close)
        sender = await _open_sender(settings, folder, clock, stack)
        journal = Journal(registry, sender.tell, clock)
        admission = Admission(settings.apps, registry, clock)
        rooms = replace(settings.rooms, authorize=admission.authorize)
        engine = Engine(
            replace(settings, rooms=rooms), lookup=journal.lookup, confirm=journal.confirm
        )
        await stack.enter_async_context(engine)
        cloud = Cloud(engine, registry, journal, settings, clock)
        stack.push_async_callback(cloud.close)
        await cloud.start()
        yield cloud


async def _open_sender(
    settings: Settings, folder: Path, clock: LoopClock, stack: AsyncExitStack
) -> Sender:
    receivers = {
        app.sdk_app_id: Receiver(app.callback_url, app.callback_key)
        for app in settings.apps
        if app.callback_url
    }
    mailbox = await Mailbox.open(folder, settings.callbacks.bound)
    stack.push_async_callback(mailbox.close)
    poster = Poster(settings.callbacks.allow_private)
    stack.push_async_callback(poster.close)
    schedule = TRTC_MINUTE if settings.callbacks.trtc_minute else PATIENT
    sender = Sender(mailbox, receivers.get, poster.post, clock, schedule)
    stack.push_async_callback(sender.close)
    return sender
