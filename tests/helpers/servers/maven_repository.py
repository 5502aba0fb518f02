"""A Maven repository on the loopback address: jars and their descriptions, over HTTP."""

import contextlib
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version></dependency>"


@dataclass
class MavenRepository:
    """What the repository holds, and what it was asked for."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The files that were asked for, by name."""
    missing_once: set[str] = field(default_factory=set)
    """Files that are not found the first time."""

    def add(self, coordinate: str, *needs: str) -> str:
        """Adds a jar, and gives its line in a lock file.

        Args:
            coordinate: As ``group:artifact:version``.
            needs: Coordinates of what it needs.
        """
        group, artifact, version = coordinate.split(":")
        folder = self.folder / group.replace(".", "/") / artifact / version
        folder.mkdir(parents=True)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as jar:
            jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nImplementation-Title: {coordinate}\n")
        dependencies = "".join(_DEPENDENCY.format(*need.split(":")) for need in needs)
        (folder / f"{artifact}-{version}.pom").write_text(
            _POM.format(group=group, artifact=artifact, version=version, dependencies=dependencies)
        )
        (folder / f"{artifact}-{version}.jar").write_bytes(buffer.getvalue())
        return f"{coordinate} {hashlib.sha256(buffer.getvalue()).hexdigest()}"


@contextlib.contextmanager
def running_maven_repository(folder: Path) -> Iterator[MavenRepository]:
    """A repository that answers while the block lasts, and holds nothing yet."""
    repository = MavenRepository(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, repository)) as server:
        repository.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="maven repository")
        thread.start()
        try:
            yield repository
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, repository: MavenRepository, *request: object) -> None:
        self._repository = repository
        super().__init__(*request, directory=str(repository.folder))  # type: ignore[arg-type] # As the server gives it.

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self._repository.asked.append(name)
        if name in self._repository.missing_once:
            self._repository.missing_once.discard(name)
            self.send_error(404)
            return
        super().do_GET()
