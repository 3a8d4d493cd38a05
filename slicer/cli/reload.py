"""SIGHUP at a service: keys, applications, the certificate and the log's settings are read again;
tasks go on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.applications import Starlette

from slicer.api import replace_apps
from slicer.cli.options import settings_to_serve
from slicer.errors import BadInput, counted
from slicer.http import Server
from slicer.service.fleet_orders import FleetOrders
from slicer.service.ports import Port, check_rooms
from slicer.service.service import Service
from slicer.service.settings import ServiceSettings


@dataclass(slots=True)
class Running:
    """A service at work. *started*: the settings that all but its applications are of; *ports*:
    what it listens on, by these and the command line; *reopen_log* has the log written as the
    settings now say."""

    started: ServiceSettings
    service: Service | FleetOrders
    app: Starlette
    server: Server
    ports: Sequence[Port] = ()
    reopen_log: Callable[[], None] = lambda: None

    def reload(self, file: Path | None, environment: Mapping[str, str]) -> str:
        """Take what the settings are now; gives what an operator is told. Where they cannot work,
        everything stays as it is.

        Variables are those that the process was started with: nothing outside can change them.
        """
        try:
            settings = settings_to_serve(file, environment)
            check_rooms(settings, self.ports)
            self.server.reload_certificate()
            before = self.app.state.dispatcher.apps
            replace_apps(self.app, {app.sdk_app_id: app for app in settings.apps})
            try:
                self.service.reload(settings)
            except BadInput:
                replace_apps(self.app, before)
                raise
            self.reopen_log()
        except BadInput as error:
            return f"SIGHUP: nothing is changed: {error}"
        text = f"SIGHUP: {counted(len(settings.apps), 'application')} read again"
        late = self._not_taken(settings)
        return f"{text}; a restart is needed for {', '.join(late)}" if late else text

    def _not_taken(self, settings: ServiceSettings) -> list[str]:
        """Tables that are different now and are read at a start alone."""
        was, now = self.started.tables(), settings.tables()
        # Who may publish is taken; all else of our rooms is not.
        own = {"sdk_app_id": now["whip"].sdk_app_id, "usersig_key": now["whip"].usersig_key}
        was |= {"whip": replace(was["whip"], **own), "log": now["log"]}
        return [f"[{name}]" for name, table in now.items() if table != was[name]]
