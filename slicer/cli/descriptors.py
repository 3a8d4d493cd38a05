"""File descriptors of the command's own process: as many as the system lets it have."""

import logging
import resource

from slicer.errors import BadInput

LEAST = 256
"""Below this nothing is started: databases, logs, stores and a few publishers take some 100."""
MOST = 65_536
"""More than 500 anchors with all their connections take."""

log = logging.getLogger(__name__)


def raise_limit() -> tuple[int, int]:
    """Raise the soft limit as far as the hard one allows; gives the limit before and after.

    Raises BadInput where the hard limit is below LEAST: connections would fail later, one by one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if wanted < LEAST:
        allowed = f"at least {LEAST}: `ulimit -Hn`, or LimitNOFILE={MOST} in a systemd unit"
        raise BadInput("file descriptors", wanted, allowed)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft, soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    log.info("file descriptors: the limit was %d, and is %d", soft, wanted)
    return soft, wanted
