"""A fleet's processes without their faces: a worker, and a copy of the API, opened and closed."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.clock import LoopClock
from slicer.delivery.copies import Copies
from slicer.delivery.sharing import Sharing
from slicer.engine.engine import Engine
from slicer.engine.sample import Sample
from slicer.engine.stages import Observe
from slicer.errors import BadInput
from slicer.fleet.bus import Bus
from slicer.fleet.facts import Facts
from slicer.fleet.gate import Gate
from slicer.fleet.limits import SharedLimits
from slicer.fleet.metrics import of_copies, of_gate
from slicer.fleet.ownership import Ownership
from slicer.fleet.planner import Planner
from slicer.fleet.settings import NAME, FleetSettings
from slicer.fleet.signer import Signer
from slicer.fleet.table import Table
from slicer.rooms.whip.authorization import authorization
from slicer.service.admission import Admission
from slicer.service.audit import Audit
from slicer.service.control import control
from slicer.service.encryption import Encryption
from slicer.service.fleet_operations import FleetOperations
from slicer.service.fleet_orders import FleetOrders
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.mailbox import LONGEST_WAIT, Mailbox, publisher, to_json
from slicer.service.messages import body
from slicer.service.operations import Operations
from slicer.service.own_rooms import OwnRooms, check_own_rooms
from slicer.service.publishers import Publishers
from slicer.service.registry import Record
from slicer.service.service import Service
from slicer.service.serving import check_folder, check_rooms, slicing, subscribers_of
from slicer.service.settings import ServeSettings, ServiceSettings
from slicer.service.worker import Worker
from slicer.storage import Credentials
from slicer.storage.object_store import open_object_store
from slicer.webhooks.client import WebhookClient
from slicer.webhooks.queue import WebhookQueue
from slicer.webhooks.retry import RetryPolicy
from slicer.webhooks.sender import Sender, Subscriber

PUBLISHED = Subscriber("nats:", "")
"""Whom a worker's queue is for: the bus, whoever the customer is, where one wants callbacks."""


@dataclass(frozen=True, slots=True)
class Working:
    """A worker that runs."""

    worker: Worker
    service: Service
    bus: Bus
    table: Table
    gate: Gate
    publishers: Publishers
    copies: Copies | None

    @property
    def busy(self) -> str:
        """Why orders do not reach this worker now, or nothing."""
        return self.bus.absence or self.table.absence

    async def metrics(self) -> list[Sample]:
        """Its service's, and what waits at its gate."""
        own = (*of_gate(self.gate), *of_copies(self.copies), *self.publishers.samples())
        return [*await self.service.metrics(), *own]


@asynccontextmanager
async def working(
    settings: ServiceSettings, observe: Observe | None = None
) -> AsyncIterator[Working]:
    """Be a worker until the context ends. *observe*: as an Engine's.

    Raises BadInput for settings that cannot be used, a bus that does not take us, and another
    worker of this name; BusUnavailable for a bus that does not answer.
    """
    settings = replace(settings, fleet=_named(settings.fleet))
    clock, name, ours = LoopClock(), settings.fleet.name, settings.fleet
    if not settings.engine.spool.folder:
        allowed = "a folder: slices wait there while the bus is away"
        raise BadInput("spool.folder", "none", allowed)
    async with AsyncExitStack() as stack:
        bus, table, encryption = await _open(settings, name, stack)
        registry = FleetRegistry(table, encryption, worker=name)
        rooms = OwnRooms(table, registry, settings.apps)
        worker: Worker | None = None  # made below: a publisher may come before
        where = lambda one: worker.address_of(one) if worker is not None else ""  # noqa: E731
        publishers = Publishers(rooms, where, encryption, name)
        owns = Ownership(name)
        gate = Gate(table, owns, name)
        stack.push_async_callback(gate.close)
        sender = await _open_sender(settings, bus, clock, stack)
        copies = _copies(ours, clock)
        sharing = Sharing(gate, copies)
        notifier, _, engine = slicing(
            settings, registry, sender, clock, observe, sharing, publishers
        )
        events = engine.events()
        await stack.enter_async_context(engine)
        check_rooms(settings.apps, engine)
        service = Service(engine, registry, notifier, settings, clock, sender=sender)
        stack.push_async_callback(service.close)
        audit = await Audit.open(Path(settings.serve.state))
        stack.push_async_callback(audit.close)
        folder = Path(settings.serve.state)
        service.operations = Operations(engine, registry, sender, audit, folder)
        worker = Worker(
            bus,
            table,
            owns,
            gate,
            copies,
            registry=registry,
            service=service,
            engine=engine,
            settings=ours,
        )
        stack.push_async_callback(worker.close)
        await worker.start()
        events.close()
        await service.tell_lost(events)
        await stack.enter_async_context(control(folder, service.operations.tasks))
        yield Working(worker, service, bus, table, gate, publishers, copies)


@asynccontextmanager
async def ordering(settings: ServiceSettings) -> AsyncIterator[FleetOrders]:
    """Take orders for a fleet until the context ends. Raises as `working`."""
    clock = LoopClock()
    async with AsyncExitStack() as stack:
        bus, table, encryption = await _open(settings, _named(settings.fleet).name, stack)
        audit = await Audit.open(Path(settings.serve.state))
        stack.push_async_callback(audit.close)
        planner = Planner(settings.fleet.zone)

        def place(record: Record) -> str:
            return planner.place(record.task, clock.now(), rooms.together(record))

        registry = FleetRegistry(table, encryption, place, lambda one: rooms.together(one))  # noqa: PLW0108 (made below)
        rooms = OwnRooms(table, registry, settings.apps)
        alive = lambda one: planner.roster.rooms(one, clock.now())  # noqa: E731
        publishers = Publishers(rooms, alive, encryption)
        whip = authorization(settings.engine.whip, clock)
        admission = Admission(settings.apps, registry, clock, whip, rooms.apps)
        facts, limits = Facts(bus), SharedLimits(bus)
        await facts.open(settings.fleet.replicas)
        await limits.open(settings.fleet.replicas)
        mailbox = _open_mailbox(settings, facts, clock, stack)
        engine = await _open_engine(settings, stack)

        def take_settings(new: ServiceSettings) -> None:
            check_rooms(new.apps, engine)
            check_own_rooms(new)
            mailbox.replace(subscribers_of(new.apps))
            admission.replace(new.apps, authorization(new.engine.whip, clock))
            rooms.replace(new.apps)

        orders = FleetOrders(
            bus,
            table,
            registry,
            planner,
            limits=limits,
            publishers=publishers,
            admit=admission.authorize,
            audit=audit,
            engine=engine,
            settings=settings,
            clock=clock,
            take_settings=take_settings,
            callbacks=mailbox.counters,
        )
        orders.operations = FleetOperations(
            bus,
            registry,
            planner,
            facts,
            Path(settings.serve.state),
            engine=engine,
            audit=audit,
            clock=clock,
            counters=mailbox.counters,
        )
        stack.push_async_callback(orders.close)
        await orders.start()
        yield orders


def open_encryption(serve: ServeSettings) -> Encryption:
    """The keys of a fleet. Raises BadInput."""
    if not serve.state_keys and not serve.state_key_file:
        allowed = "keys that all processes of the fleet have: SLICER_STATE_KEY, or state_key_file"
        raise BadInput("serve.state_key_file", "none", allowed)
    return Encryption.open(serve.state_keys, Path(serve.state_key_file))


def signer_of(encryption: Encryption) -> Signer:
    """What signs on the bus, by keys that are derived from these."""
    return Signer(encryption.derived("bus"))


async def _open_engine(settings: ServiceSettings, stack: AsyncExitStack) -> Engine:
    """An engine that judges files which come with a request: rooms and slices are the workers'."""
    without = replace(settings.engine, spool=replace(settings.engine.spool, folder=""))
    engine = await stack.enter_async_context(Engine(without))
    check_rooms(settings.apps, engine)
    return engine


def _open_mailbox(
    settings: ServiceSettings, facts: Facts, clock: LoopClock, stack: AsyncExitStack
) -> Mailbox:
    """What sends the callbacks that workers have published."""
    client = WebhookClient(settings.webhooks.allow_private)
    stack.push_async_callback(client.close)
    policy = RetryPolicy(settings.webhooks.max_age)
    mailbox = Mailbox(facts, body, client.post, clock, policy)
    stack.push_async_callback(mailbox.close)
    mailbox.replace(subscribers_of(settings.apps))
    return mailbox


async def _open_sender(
    settings: ServiceSettings, bus: Bus, clock: LoopClock, stack: AsyncExitStack
) -> Sender:
    """What keeps a worker's webhooks on its disk until they are published."""
    facts = Facts(bus)
    await facts.open(settings.fleet.replicas)
    queue = await WebhookQueue.open(Path(settings.serve.state), settings.webhooks.bound)
    stack.push_async_callback(queue.close)
    # No longer: the stream knows an id for REMEMBERED only, and a try may have been kept.
    policy = RetryPolicy(settings.webhooks.max_age, LONGEST_WAIT)
    # Nobody would ever take the others' from the stream.
    subscribers = subscribers_of(settings.apps)
    wanted = lambda app: PUBLISHED if app in subscribers else None  # noqa: E731
    sender = Sender(queue, wanted, to_json, publisher(facts), clock, policy)
    stack.push_async_callback(sender.close)
    bus.on_connected.append(sender.try_again)
    return sender


async def _open(
    settings: ServiceSettings, name: str, stack: AsyncExitStack
) -> tuple[Bus, Table, Encryption]:
    check_own_rooms(settings)
    folder = Path(settings.serve.state)
    check_folder(folder, settings.serve)
    encryption = open_encryption(settings.serve)
    bus = await Bus.connect(settings.fleet, name, signer_of(encryption))
    stack.push_async_callback(bus.close)
    table = Table(bus)
    stack.push_async_callback(table.close)
    await table.open(settings.fleet.replicas)
    table.check_keys()
    return bus, table, encryption


def _copies(settings: FleetSettings, clock: LoopClock) -> Copies | None:
    """Where slices have copies, if they have. Raises BadInput."""
    if not settings.copies:
        return None
    keys = (settings.copies_access_key, settings.copies_secret_key)
    try:
        place = open_object_store(settings.copies, Credentials(*keys) if keys[0] else None)
    except BadInput as error:
        raise BadInput("fleet.copies", error.got, error.allowed) from None
    return Copies(place, clock)


def _named(settings: FleetSettings) -> FleetSettings:
    """The settings with a name: the host's, unless they have one."""
    if settings.name:
        return settings
    name = socket.gethostname().partition(".")[0]
    if not NAME.fullmatch(name):
        raise BadInput("fleet.name", name, "a name: the host's has other letters")
    return replace(settings, name=name)
