"""Apache Kafka as a native process: one node, broker and controller in one (KRaft)."""

import shutil
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from stack import readiness
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.jars import KAFKA, ensure_jars
from stack.java import java_command
from stack.ports import HOST
from stack.processes import Launch
from stack.service import ServiceName, Start

FORMAT_TIMEOUT_SECONDS = 180
"""A second or two; met at 60 on a machine with thirty processes for two cores."""
# The small heap is enough for a node with a handful of topics, and the serial collector starts soonest on few cores.
JVM_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# One node has no replicas.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Fifty partitions each by default, which cost a start-up's time and nothing else here.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=8
group.initial.rebalance.delay.ms=0
# A misspelt topic is an error and never a new topic.
auto.create.topics.enable=false
"""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.target = {target}
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = {pattern}
rootLogger.level = {level}
rootLogger.appenderRef.console.ref = console
"""


class KafkaService:
    """See ``stack.service.Service``."""

    name: ServiceName = "kafka"
    first_signal = signal.SIGTERM
    start_patience_seconds = 60.0
    stop_patience_seconds = 20.0
    format_options: tuple[str, ...] = ()
    """Further arguments for formatting the data folder."""
    jvm_options: tuple[str, ...] = JVM_OPTIONS

    def __init__(self, folder: Path, port: int, controller_port: int, endpoints: Endpoints) -> None:
        self._folder = folder / "kafka"
        self._data = self._folder / "data"
        self._properties = self._folder / "server.properties"
        self._port = port
        self._controller_port = controller_port
        self._endpoints = endpoints
        self._jars: tuple[Path, ...] = ()

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self._folder.parent / "logs" / "kafka.log"

    def prepare(self, start: Start) -> None:
        """Downloads the jars once, writes the configuration, and formats the data folder once."""
        self._jars = ensure_jars(
            KAFKA,
            lambda text: start.board.begin(self.name, text.removeprefix("kafka: ")),
            lambda text: start.board.note(self.name, text.removeprefix("kafka: ")),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_logging_configuration(self._folder / "log4j2.properties", level="info", target="SYSTEM_OUT")
        self._properties.write_text(
            _PROPERTIES.format(host=HOST, port=self._port, controller_port=self._controller_port, data=self._data)
        )
        if not (self._data / "meta.properties").exists():
            start.board.begin(self.name, "formatting its data folder")
            self._format()

    def _format(self) -> None:
        # Formatting that was killed half-way leaves a folder that cannot be formatted again.
        shutil.rmtree(self._data, ignore_errors=True)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        command = [
            *self._java("kafka.tools.StorageTool", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("format", f"--cluster-id={cluster_id}", "-c", str(self._properties)),
            *self.format_options,
        ]
        with self.log_path.open("ab") as log:
            outcome = subprocess.run(  # noqa: S603 -- our own command line
                command, stdout=log, stderr=log, timeout=FORMAT_TIMEOUT_SECONDS, check=False
            )
        if outcome.returncode != 0:
            raise StackError(f"Kafka's data folder could not be formatted; its log says why: {self.log_path}")

    def launch(self) -> Launch:
        """The broker's process."""
        return Launch([*self._java("kafka.Kafka", *self.jvm_options), str(self._properties)], folder=self._folder)

    def _java(self, main_class: str, *options: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        return java_command(self._jars, main_class, logging, *options)

    def check(self) -> None:
        """Asks the broker for its cluster."""
        readiness.check_kafka(self._endpoints)

    def erase(self) -> None:
        """Deletes all topics."""
        shutil.rmtree(self._data, ignore_errors=True)


def write_logging_configuration(path: Path, *, level: str, target: str) -> Path:
    """Writes a log4j configuration for a broker or a tool.

    Args:
        path: The file.
        level: The lowest level that is printed.
        target: SYSTEM_OUT or SYSTEM_ERR.
    """
    pattern = "[%d{ISO8601}] %p %m (%c)%n"
    path.write_text(_LOGGING.format(level=level, target=target, pattern=pattern))
    return path
