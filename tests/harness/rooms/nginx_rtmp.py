"""nginx with its RTMP module: the server that streams are published to and played from."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_CONFIGURATION = """
load_module {module};
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; {more} }} }} }}
"""


def missing() -> str:
    """What is lacking here; "" where nothing is."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        return "nginx"
    return "" if MODULE.is_file() else "nginx' RTMP module"


@contextlib.contextmanager
def nginx_rtmp(folder: Path, more: str = "") -> Iterator[int]:
    """A server on a free port of loopback, application `live`; *more* of its configuration."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(module=MODULE, folder=folder, port=port, more=more)
    )
    command = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until it takes connections. Raises RuntimeError with what it says where it has ended."""
    while True:
        if process.poll() is not None:
            _, said = process.communicate()
            raise RuntimeError(f"nginx ended: {said.decode(errors='replace')}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
