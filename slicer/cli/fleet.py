"""slicer fleet: what a fleet is at, and what an operator may ask of it."""

import argparse
import asyncio
import os
import sys
from collections import Counter
from dataclasses import dataclass

from slicer.cli.exits import FAILED
from slicer.cli.options import add_common
from slicer.cli.worker import add_fleet, in_fleet
from slicer.errors import BadInput, BusUnavailable, TaskNotExist, counted
from slicer.fleet.beat import EVERY, Beat
from slicer.fleet.bus import Bus
from slicer.fleet.record import TaskRecord
from slicer.fleet.table import Table
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.fleet_serving import open_encryption, signer_of
from slicer.service.settings import ServiceSettings

LISTEN = 4 * EVERY
"""Seconds for which heartbeats are listened to."""
RESTORED = 2.5
"""Seconds within which copies of the API write a record again that somebody has written over."""
DONE = 60.0
"""Seconds within which a worker must have handed a task over."""


@dataclass(frozen=True, slots=True)
class View:
    """A fleet as it is now: who was heard, and the records of all tasks that have not ended.
    *foreign*: how many records none of the keys has signed."""

    workers: dict[str, Beat]
    tasks: list[TaskRecord]
    foreign: int = 0


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="workers, their load, and tasks that nobody runs")
    drain = actions.add_parser("drain", help="have a worker hand its tasks over and take no more")
    drain.add_argument("worker", help="its name, as `slicer fleet status` shows it")
    move = actions.add_parser("move", help="have another worker run a task")
    move.add_argument("task", help="its TaskId")
    rekey = actions.add_parser("rekey", help="have all records by the first of SLICER_STATE_KEY")
    purge = actions.add_parser("purge", help="remove records that no SLICER_STATE_KEY has signed")
    purge.add_argument("--yes", action="store_true", help="do it, instead of listing them")
    named = {"status": status, "drain": drain, "move": move, "rekey": rekey, "purge": purge}
    for what, action in named.items():
        add_fleet(action)
        add_common(action)
        action.set_defaults(command=fleet, what=what)


def fleet(options: argparse.Namespace) -> int:
    """Carry the action out. Raises BadInput, BusUnavailable and TaskNotExist."""
    settings = in_fleet(ServiceSettings.load(options.config, os.environ), options.fleet)
    if not settings.fleet.servers:
        raise BadInput("fleet.servers", "none", "the NATS servers of a fleet: --fleet URLS")
    return asyncio.run(_fleet(settings, options))


async def _fleet(settings: ServiceSettings, options: argparse.Namespace) -> int:
    encryption = open_encryption(settings.serve)
    bus = await Bus.connect(settings.fleet, "slicer-fleet", signer_of(encryption))
    table = Table(bus)
    try:
        heard: dict[str, Beat] = {}
        await bus.hear_beats(lambda beat: heard.update({beat.worker: beat}))
        await table.open(settings.fleet.replicas)
        if options.what == "purge":
            await _purge(table, options.yes)
            return 0
        table.check_keys()
        if options.what == "rekey":
            return await _rekey(FleetRegistry(table, encryption), table)
        await asyncio.sleep(LISTEN)
        tasks = [one for one in table.records.values() if one.ended is None]
        view = View(heard, tasks, table.foreign)
        if options.what == "status":
            sys.stdout.write(shown(view))
        elif options.what == "drain":
            await _drain(bus, view, options.worker)
        else:
            await _move(bus, view, options.task)
    finally:
        await table.close()
        await bus.close()
    return 0


def shown(view: View) -> str:
    """The fleet as text: a line for each worker, and what is amiss."""
    tasks = Counter(record.worker for record in view.tasks)
    names = sorted({*view.workers, *tasks} - {""})
    lines = [f"{'WORKER':20} {'ZONE':10} {'TASKS':>12} {'CPU':>5}  STATE"]
    for name in names:
        beat = view.workers.get(name)
        if beat is None:
            lines.append(f"{name:20} {'?':10} {tasks[name]:>12} {'?':>5}  not heard")
            continue
        of = f"{tasks[name]} of {beat.capacity}"
        state = "draining" if beat.draining else "working"
        lines.append(f"{name:20} {beat.zone or '-':10} {of:>12} {beat.load:>5.0%}  {state}")
    if tasks[""]:
        lines.append(f"{counted(tasks[''], 'task')} without a worker")
    if view.foreign:
        left = counted(view.foreign, "record")
        lines.append(f"{left} left alone: none of these keys has signed them (SLICER_STATE_KEY)")
    return "\n".join(lines) + "\n"


async def _rekey(registry: FleetRegistry, table: Table) -> int:
    count = counted(await registry.rekey(), "record")
    sys.stdout.write(f"{count} encrypted and signed anew, by the first key\n")
    if table.foreign:
        left = counted(table.foreign, "record")
        sys.stdout.write(f"{left} left as they are: none of these keys has signed them\n")
        return FAILED
    return 0


async def _purge(table: Table, sure: bool) -> None:
    if table.foreign:
        await asyncio.sleep(RESTORED)
    keys = table.foreign_keys()
    if not keys:
        sys.stdout.write("every record is signed by one of these keys (SLICER_STATE_KEY)\n")
        return
    sys.stdout.writelines(f"{key!a}\n" for key in keys)  # a stranger may have chosen it
    count = f"{counted(len(keys), 'record')} that none of these keys has signed (SLICER_STATE_KEY)"
    if not sure:
        of = "if the fleet has other keys, they are its tasks"
        sys.stdout.write(f"{count}; --yes removes them, for good: {of}\n")
        return
    removed = sum([await table.purge(key) for key in keys])
    sys.stdout.write(f"{counted(removed, 'record')} removed\n")


async def _drain(bus: Bus, view: View, worker: str) -> None:
    if worker not in view.workers:
        allowed = ", ".join(sorted(view.workers)) or "none: no worker was heard"
        raise BadInput("WORKER", worker, allowed)
    answer = await bus.ask(worker, {"verb": "drain"}, LISTEN)
    tasks = counted(int(answer["tasks"]), "task")
    sys.stdout.write(f"{worker} takes no more tasks, and hands {tasks} over\n")


async def _move(bus: Bus, view: View, task: str) -> None:
    record = next((one for one in view.tasks if one.task == task), None)
    if record is None:
        raise TaskNotExist(f"no task {task} in this fleet")
    if len([beat for beat in view.workers.values() if not beat.draining]) < 2:
        raise BadInput("TASK", task, "a fleet with another worker that takes tasks")
    answer = await bus.ask(record.worker, {"verb": "move", "task": task}, DONE)
    if not answer.get("moved"):
        raise BusUnavailable(f"worker {record.worker} does not have the task any more: try again")
    sys.stdout.write(f"{record.worker} has handed the task over\n")
