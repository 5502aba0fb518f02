"""Everything on this machine: servers started or found, tables and topics made, our processes as children."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from rich.markup import escape

import stack
from orders.errors import OrdersError, UnreachableError
from orders.hints import as_typed
from orders.installation.migrate import migrate_all
from orders.local.codec import codec_endpoint, decrypted_where, ui_origin
from orders.local.endpoints import with_endpoints
from orders.local.instance import bridge_instance_id
from orders.local.log_lines import readable_line
from orders.local.own_ports import OwnPorts
from orders.local.supervision import Child, Supervisor
from orders.local.terminal import Terminal
from orders.local.ups import Ending, HealthAddress, Registration, Running, described, register
from orders.safe_text import safe_text
from orders.settings import Settings, load_settings
from stack.paths import stack_dir
from workflows.names import ORDER_TASK_QUEUE, SHIPPING_TASK_QUEUE

BRIDGE: Final = "bridge"
API: Final = "api"
WORKERS: Final = {
    f"worker {ORDER_TASK_QUEUE}": ORDER_TASK_QUEUE,
    f"worker {SHIPPING_TASK_QUEUE}": SHIPPING_TASK_QUEUE,
}

SERVERS_LOOKED_AT_EVERY_SECONDS: Final = 1.0
HEALTH_PORTS_FROM: Final = 9464
"""Where processes with metrics for Prometheus are looked for by custom."""

_READY_EVENTS: Final = ('"bridge.partitions.assigned"', '"worker.started"', '"api.started"')
"""What the processes log once they work."""


@dataclass(frozen=True, slots=True)
class LocalServers:
    """Servers that answer, with tables and topics, and the settings that lead to them."""

    running: stack.RunningStack
    settings: Settings
    log_dir: Path
    defaults: Mapping[str, str]
    """Settings for our own processes here, where the person has set nothing else."""
    health_ports: Mapping[str, int]
    """Where each of our processes answers about its health, and with its metrics."""
    registration: Registration
    """By which other commands find this one, and which says whose the servers are."""

    @property
    def api_url(self) -> str:
        """Where the API and the console are, for a browser on this machine."""
        return _api_url(self.settings, self.defaults)

    @property
    def temporal_ui(self) -> str | None:
        """Where Temporal's UI is, and by whom it shows what is encrypted; None where that is not known."""
        decrypted = decrypted_where(codec_endpoint(self.settings, self.api_url), self.running.codec_endpoint)
        said = (self.settings.temporal_ui_url, decrypted)
        return "  ".join(part for part in said if part) or None

    def metrics_url(self, process: str) -> str:
        """Where a process of ours has its metrics, for a browser on this machine."""
        host = _EVERY_ADDRESS.get(self.settings.health_bind_address, self.settings.health_bind_address)
        port = self.health_ports[process]
        return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"


_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


def _api_url(settings: Settings, defaults: Mapping[str, str]) -> str:
    host = _EVERY_ADDRESS.get(settings.api_host, settings.api_host)
    port = defaults.get("API_PORT", settings.api_port)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def local_servers(terminal: Terminal, *, with_api: bool = False) -> Iterator[LocalServers]:
    """Starts the servers or finds them, makes tables and topics, and ends at last what it started.

    Servers that another `orders up` still uses at the end are left to that one. Blocks, minutes on a new machine.
    SIGTERM and a closed terminal interrupt it as Ctrl-C does.

    Args:
        terminal: where a person watches.
        with_api: whether the API and the console will run as well.

    Raises:
        OrdersError: the servers cannot be started, or refuse the tables or topics.
        KeyboardInterrupt: it was interrupted.
    """
    configured = load_settings()
    if configured.names_endpoints:
        # Also those of .env, which the servers' part does not read.
        os.environ.update(_endpoint_variables(configured))
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP), OwnPorts() as ports:
        defaults = _defaults(configured, ports)
        endpoint = codec_endpoint(configured, _api_url(configured, defaults)) if with_api else None
        try:
            running = stack.up(progress=terminal.say_plain, status=terminal.status, codec_endpoint=endpoint)
        except stack.StackError as error:
            raise OrdersError(str(error)) from error
        registration: Registration | None = None
        try:
            with bridge_instance_id(stack_dir("default")) as instance_id:
                defaults |= _defaults_here(configured, running, instance_id)
                servers = _described(configured, running, defaults, ports, with_api=with_api)
                registration = servers.registration
                _say_of_others(registration, terminal)
                asyncio.run(migrate_all(servers.settings))
                yield servers
        finally:
            _leave_servers(running, registration, terminal)


def _described(
    configured: Settings, running: stack.RunningStack, defaults: Mapping[str, str], own: OwnPorts, *, with_api: bool
) -> LocalServers:
    """The servers, and what our processes here are told; from now on other commands find this one."""
    settings = with_endpoints(configured, running.endpoints.as_environment())
    folder = stack_dir("default")
    ports = _health_ports(configured, own)
    host = _EVERY_ADDRESS.get(settings.health_bind_address, settings.health_bind_address)
    registration = register(
        folder,
        kafka=settings.kafka_bootstrap_servers,
        owns_servers=running.started_here,
        servers_are_named=configured.names_endpoints,
        console_url=f"{_api_url(settings, defaults)}/console" if with_api else None,
        health=tuple(
            HealthAddress(process=name, host=host, port=port) for name, port in ports.items() if with_api or name != API
        ),
    )
    return LocalServers(running, settings, folder / "logs", defaults, ports, registration)


def _say_of_others(registration: Registration, terminal: Terminal) -> None:
    for other in registration.others():
        terminal.say(
            f"[yellow]runs already:[/yellow] {_named(other)}. Both use the same servers, "
            "tables and topics, so either may run an order. Whichever ends first leaves the servers to the other."
        )


def _named(one: Running) -> str:
    return escape(safe_text(as_typed(described(one))))


def _leave_servers(running: stack.RunningStack, registration: Registration | None, terminal: Terminal) -> None:
    """Ends the servers where they are this one's and nobody else uses them."""
    ending = Ending(running.started_here, None) if registration is None else registration.end()
    if ending.heir is not None:
        terminal.say(f"[dim]the servers run on, for {_named(ending.heir)}[/dim]")
    if not ending.has_to_end_servers:
        return
    terminal.say("[dim]ending the servers[/dim]")
    if running.started_here:
        running.down()
    else:
        stack.down(progress=terminal.say_plain)


async def keep_servers(servers: LocalServers, terminal: Terminal) -> None:
    """Starts a server again that has died, until cancelled; one that this machine only found is its owner's to keep.

    Raises:
        OrdersError: it cannot be started again.
        UnreachableError: another command has ended the servers.
    """
    running = servers.running
    ours = set(running.pids) if running.started_here else set()
    may_inherit = not running.started_here and not servers.registration.running.servers_are_named
    while True:
        await asyncio.sleep(SERVERS_LOOKED_AT_EVERY_SECONDS)
        if not servers.registration.running.servers_are_named and not stack.is_started():
            raise UnreachableError(
                "another command has ended the servers, as `orders stack down` does, so this ends too: "
                "`orders up` starts all of it again"
            )
        if may_inherit and servers.registration.owns_servers:
            inherited = await asyncio.to_thread(stack.find)
            if inherited is not None:
                running, ours, may_inherit = inherited, set(inherited.pids), False
                terminal.say("[dim]the other one has ended and left the servers to this one[/dim]")
        for name in sorted(ours - set(running.pids)):
            terminal.say(f"[yellow]{name} has ended; starting it again, with its data[/yellow]")
            try:
                await asyncio.to_thread(running.restart, name)
            except stack.StackError as error:
                raise OrdersError(str(error)) from error
            terminal.say(f"[yellow]{name} is back[/yellow]")


def processes(
    servers: LocalServers,
    terminal: Terminal,
    *,
    log_dir: Path,
    quiet: bool = False,
    with_api: bool = False,
    also: Callable[[str, str], None] = lambda _name, _line: None,
    **more: str,
) -> Supervisor:
    """The bridge and a worker for each task queue, to be kept running, and the API where it is wanted.

    Args:
        servers: what they talk to.
        terminal: where their lines and fates are shown, and that all of them are ready.
        log_dir: for each one's whole output.
        quiet: whether their lines are not shown, only their fates.
        with_api: whether the API and the console run as well.
        also: is called with a process's name and each line of its output.
        more: further settings of theirs.
    """
    missing = {BRIDGE, *WORKERS, *([API] if with_api else [])}

    def take_line(name: str, text: str) -> None:
        also(name, text)
        if not quiet and (line := readable_line(text)) is not None:
            terminal.say_of(name, line)
        if name in missing and any(event in text for event in _READY_EVENTS):
            missing.discard(name)
            if not missing:
                says = ["the bridge has its partitions", "a worker serves each task queue"]
                says += [f"the API answers at {servers.api_url}"] if with_api else []
                terminal.say(f"[green]ready[/green]: {', '.join(says[:-1])}, and {says[-1]}")

    return Supervisor(
        children=[
            # The first to be told to stop: it sends no more to the others.
            *([Child(API, ("api",), _health_of(servers, API, "API"))] if with_api else []),
            Child(BRIDGE, ("bridge",), _health_of(servers, BRIDGE, "BRIDGE")),
            *(
                Child(name, ("worker", "--queue", queue), _health_of(servers, name, "WORKER"))
                for name, queue in WORKERS.items()
            ),
        ],
        environment=_environment(servers, more),
        log_dir=log_dir,
        on_line=take_line,
        on_change=lambda sentence: terminal.say(f"[yellow]{sentence}[/yellow]"),
    )


def _health_of(servers: LocalServers, process: str, setting: str) -> dict[str, str]:
    return {f"{setting}_HEALTH_PORT": str(servers.health_ports[process])}


def _environment(servers: LocalServers, more: Mapping[str, str]) -> dict[str, str]:
    endpoints = servers.running.endpoints.as_environment()
    return {**servers.defaults, **os.environ, **endpoints, "LOG_FORMAT": "json", **more}


def _defaults(settings: Settings, own: OwnPorts) -> dict[str, str]:
    """What our own processes are told here where the person has set nothing else.

    Where a bridge goes for good, nobody on one machine waits half a minute for its partitions.
    """
    defaults = {}
    if not settings.model_fields_set & {"bridge_session_timeout_seconds", "bridge_heartbeat_interval_seconds"}:
        defaults["BRIDGE_SESSION_TIMEOUT_SECONDS"] = "10"
    if "bridge_log_settled" not in settings.model_fields_set:
        defaults["BRIDGE_LOG_SETTLED"] = "true"  # Whoever sends a message by hand sees it arrive.
    if "api_port" not in settings.model_fields_set:
        defaults["API_PORT"] = str(own.first_free(settings.api_host, settings.api_port))
    return defaults


def _defaults_here(settings: Settings, running: stack.RunningStack, instance_id: str) -> dict[str, str]:
    """The same of what is known once the servers run.

    A bridge that is killed takes up its place again under its name.
    """
    ours = not settings.names_endpoints
    defaults = ui_origin(settings, running.endpoints.temporal_ui_url) if ours else {}
    if "bridge_instance_id" not in settings.model_fields_set:
        defaults["BRIDGE_INSTANCE_ID"] = instance_id
    return defaults


def _health_ports(settings: Settings, own: OwnPorts) -> dict[str, int]:
    """A port for the health and the metrics of each process: the one that is set, or the next that is free."""
    wanted = {
        BRIDGE: settings.bridge_health_port,
        **dict.fromkeys(WORKERS, settings.worker_health_port),
        API: settings.api_health_port,
    }
    return {
        process: own.first_free(settings.health_bind_address, port or HEALTH_PORTS_FROM)
        for process, port in wanted.items()
    }


def _endpoint_variables(settings: Settings) -> dict[str, str]:
    password = settings.db_password
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "TEMPORAL_HOST": settings.temporal_host,
        "TEMPORAL_UI_URL": settings.temporal_ui_url or "",
        "DB_HOST": settings.db_host,
        "DB_PORT": str(settings.db_port),
        "DB_USER": settings.db_user,
        "DB_PASSWORD": password.get_secret_value() if password else "",
        "DB_NAME": settings.db_name,
    }
    return {name: value for name, value in variables.items() if value}


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Makes these signals interrupt as Ctrl-C does, so that what was started is ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
