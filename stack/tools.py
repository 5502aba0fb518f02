"""The servers' own command-line tools, as scripts that can be pasted into any shell."""

from dataclasses import dataclass
from pathlib import Path

from stack.endpoints import Endpoints
from stack.jars import KAFKA, ensure_jars
from stack.java import java_command, write_script
from stack.kafka import write_logging_configuration
from stack.postgres import programs_dir
from stack.progress import Progress

_KAFKA_TOOLS = {
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
# They live for a second or two, so the quickest start counts.
_JVM_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of the scripts. Kafka's take ``--bootstrap-server`` as usual; ``psql`` is logged in already."""

    kafka_console_producer: Path
    kafka_console_consumer: Path
    kafka_topics: Path
    kafka_consumer_groups: Path
    psql: Path


def make_tools(endpoints: Endpoints, folder: Path, progress: Progress) -> Tools:
    """Writes the scripts into a folder, downloading Kafka's jars where they are missing.

    Raises:
        StackError: A jar cannot be downloaded.
    """
    jars = ensure_jars(KAFKA, progress)
    folder.mkdir(parents=True, exist_ok=True)
    logging = write_logging_configuration(folder / "log4j2.properties", level="warn", target="SYSTEM_ERR")
    scripts = {
        name: write_script(
            folder / name, java_command(jars, main_class, f"-Dlog4j2.configurationFile={logging}", *_JVM_OPTIONS)
        )
        for name, main_class in _KAFKA_TOOLS.items()
    }
    return Tools(
        kafka_console_producer=scripts["kafka-console-producer"],
        kafka_console_consumer=scripts["kafka-console-consumer"],
        kafka_topics=scripts["kafka-topics"],
        kafka_consumer_groups=scripts["kafka-consumer-groups"],
        psql=_psql(endpoints, folder / "psql"),
    )


def _psql(endpoints: Endpoints, path: Path) -> Path:
    variables = {
        "PGHOST": endpoints.db_host,
        "PGPORT": str(endpoints.db_port),
        "PGUSER": endpoints.db_user,
        "PGPASSWORD": endpoints.db_password,
        "PGDATABASE": endpoints.db_name,
    }
    return write_script(path, [str(programs_dir(None) / "psql")], environment=variables, private=True)
