"""What all tests share: the real parts that are started once for a session."""

import gc
import os

import pytest
from hypothesis import settings

from slicer import hot
from tests.harness.storage.azure_front import az
from tests.harness.storage.cos_front import cos
from tests.harness.storage.gcs_front import gs
from tests.harness.storage.oss_front import oss
from tests.harness.storage.seaweed import seaweed

# With SLICER_NATIVE=1 nothing may be tested on the reference.
hot.check()

__all__ = ["az", "cos", "gs", "oss", "seaweed"]

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# For what counts lines (tests/own_coverage.py); where a test says its number itself, that holds.
settings.register_profile("few", deadline=None, max_examples=20, derandomize=True)

# Files of more than ten seconds. Where several processes share the files, the last of them must not
# be left alone with a long one; and most of these wait, so that others may compute meanwhile.
LONGEST = (
    "real/test_simulcast.py",
    "real/test_changes.py",
    "real/test_hold_up.py",
    "real/test_janus.py",
    "real/test_delays.py",
    "real/test_janus_layers.py",
    "real/test_moderation.py",
    "real/test_chromium.py",
    "real/test_bitrate.py",
    "real/test_fleet_durability.py",
    "real/test_fleet_faults.py",
    "real/test_fleet_upgrade.py",
    "real/test_spool.py",
    "real/test_fleet_disk.py",
    "real/test_stall.py",
    "real/test_console.py",
    "real/test_entrance.py",
    "real/test_chromium_rooms.py",
    "real/test_command.py",
    "real/test_chromium_page.py",
    "real/test_renegotiation.py",
    "real/test_gstreamer.py",
    "real/test_streams.py",
    "real/test_fleet_rooms.py",
    "real/test_janus_crowd.py",
    "real/test_paths.py",
    "real/test_moderation_commands.py",
    "real/test_fleet.py",
    "real/test_fleet_janus.py",
    "real/test_backup.py",
    "real/test_fleet_servers.py",
    "real/test_networks.py",
    "real/test_typed_commands.py",
    "real/test_janus_keyframes.py",
    "real/test_publishers.py",
    "real/test_fleet_refusals.py",
    "real/test_one_port.py",
    "real/test_requests_ignored.py",
    "real/test_whip_muxer.py",
    "real/test_rtp.py",
    "real/test_relayed.py",
    "service/test_worker.py",
    "native/test_slow_clock.py",
    "native/test_bundle_equality.py",
    "native/test_fuzz_corpus.py",
    "rooms/livekit/test_session.py",
    "demo/test_demo.py",
    "test_documents.py",
    "webrtc/test_path.py",
    "contract/test_storage_faults.py",
    "contract/test_storage.py",
    "contract/test_room.py",
    "native/test_out_of_memory.py",
    "webrtc/test_native_path.py",
    "native/test_receiver_equality.py",
    "rooms/whip/test_room.py",
    "fleet/test_table.py",
    "webrtc/test_connection.py",
    "rooms/stream/test_room.py",
    "fleet/test_bus.py",
    "delivery/test_sharing.py",
    "rooms/whep/test_room.py",
    "cli/test_fleet.py",
    "test_own_coverage.py",
    "service/test_fleet_orders.py",
    "contract/test_suppliers.py",
    "delivery/test_circuit.py",
    "webrtc/test_loop_path.py",
    "bench/test_day.py",
    "bench/test_hops.py",
    "fleet/test_facts.py",
    "slicing/test_audio.py",
)
RANK = {f"tests/{name}": rank for rank, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, the others in the order of their names."""
    items.sort(key=lambda item: RANK.get(item.nodeid.partition("::")[0], len(RANK)))


def pytest_collection_finish() -> None:
    """Collections look at what came since the imports: a test with one for each example of
    hypothesis takes a tenth of the time."""
    gc.collect()
    gc.freeze()


SCHEDULED = os.sched_getscheduler(0)


def pytest_runtest_teardown() -> None:
    """A test that leaves its process a real-time one (kept_priority says who does) fails: servers
    that later tests start would take the machine from all others."""
    now = os.sched_getscheduler(0)
    if now != SCHEDULED:
        os.sched_setscheduler(0, SCHEDULED, os.sched_param(0))
    assert now == SCHEDULED
