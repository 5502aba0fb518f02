"""A Docker engine as far as its clients see it: its HTTP API on a Unix socket, and no container behind it.

What is started listens on the ports that it is bound to, and has said in its log that it is ready.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

API_VERSION = "1.44"
READY_LINES = "Kafka Server started\n" + "database system is ready to accept connections\n" * 2


def stored_name(image: str) -> str:
    """What an engine has an image under: by its digest alone, where it is named by version and digest."""
    return re.sub(r":[^:/@]+@", "@", image)


@dataclass
class Container:
    """A container as the engine has it."""

    image: str
    options: dict[str, Any]
    status: str = "created"
    ports: list[socket.socket] = field(default_factory=list)

    @property
    def bound_ports(self) -> list[int]:
        """The ports of this machine that lead to it."""
        return [int(to["HostPort"]) for each in self.options["HostConfig"]["PortBindings"].values() for to in each]

    def listen(self) -> None:
        """Takes connections at each of its ports, as a server in it would."""
        self.ports = [socket.create_server(("127.0.0.1", port)) for port in self.bound_ports]

    def close(self) -> None:
        """Takes none any more."""
        for port in self.ports:
            port.close()
        self.ports = []


@dataclass
class DockerEngine:
    """What the engine has, and how it is to fail."""

    address: str
    """For DOCKER_HOST."""
    images: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)
    """What registries have under the names of images."""
    containers: dict[str, Container] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    """What containers were told after their start: image and verb."""
    dead_at_start: str = ""
    """A part of the name of the image whose containers end as soon as they are started."""
    offline: bool = False
    """Whether no image can be downloaded."""
    is_ill: bool = False
    """Whether every request is answered with an error."""

    def close(self) -> None:
        """Ends all containers."""
        for container in self.containers.values():
            container.close()


@contextlib.contextmanager
def running_docker_engine(folder: Path) -> Iterator[DockerEngine]:
    """An engine that answers while the block lasts.

    Args:
        folder: Where its socket lies; a short path, as a socket's may have no more than 100 characters.
    """
    path = folder / "docker.sock"
    engine = DockerEngine(f"unix://{path}")
    handler = type("Handler", (_Handler,), {"engine": engine})
    with _Server(str(path), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="docker engine")
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
            engine.close()


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    engine: ClassVar[DockerEngine]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = re.sub(r"^/v[0-9.]+", "", unquote(url.path))
        status, content = self._answer(path, query, json.loads(raw or b"null"))
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if content is body else "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.engine.is_ill:
            return 500, {"message": "the engine is ill"}
        if path == "/version":
            return 200, {"ApiVersion": API_VERSION, "MinAPIVersion": API_VERSION, "Version": "28"}
        if path.startswith(("/images/", "/distribution/")):
            return self._answer_about_images(path, query)
        if path == "/containers/create":
            identifier = f"{len(self.engine.containers):064x}"
            self.engine.containers[identifier] = Container(body["Image"], body)
            return 201, {"Id": identifier, "Warnings": []}
        match = re.fullmatch(r"/containers/([0-9a-f]{64})/?([a-z]*)", path)
        if match is None or match[1] not in self.engine.containers:
            return 404, {"message": "no such container"}
        return self._answer_about_container(match[1], "remove" if self.command == "DELETE" else match[2])

    def _answer_about_images(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if path == "/images/create":
            # What an engine calls a tag may be a digest.
            image = f"{query['fromImage']}{'@' if query['tag'].startswith('sha256:') else ':'}{query['tag']}"
            if self.engine.offline:
                return 500, {"message": f"no route to {image}"}
            self.engine.images.add(image)
            return 200, b'{"status": "done"}\n'
        image = stored_name(path.split("/", 2)[2].removesuffix("/json"))
        if path.startswith("/distribution/") and image in self.engine.digests:
            digest = self.engine.digests[image]
            return 200, {"Descriptor": {"digest": digest, "mediaType": "", "size": 0}, "Platforms": []}
        if image not in self.engine.images:
            return 404, {"message": "no such image"}
        return 200, {"Id": f"sha256:{image}", "RepoTags": [image]}

    def _answer_about_container(self, identifier: str, verb: str) -> tuple[int, Any]:
        container = self.engine.containers[identifier]
        if verb == "json":
            return 200, _description(identifier, container)
        if verb == "logs":
            return 200, f"{container.image}\n{READY_LINES if container.status == 'running' else ''}".encode()
        if verb == "start":
            is_dead = bool(self.engine.dead_at_start) and self.engine.dead_at_start in container.image
            container.status = "exited" if is_dead else "running"
            if not is_dead:
                container.listen()
            return 204, b""
        self.engine.done.append(f"{container.image} {verb}")
        if verb in ("stop", "kill", "remove"):
            container.close()
        if verb == "remove":
            del self.engine.containers[identifier]
        return 204, b""


def _description(identifier: str, container: Container) -> dict[str, Any]:
    return {
        "Id": identifier,
        "Name": f"/{identifier[:6]}",
        "State": {"Status": container.status, "ExitCode": int(container.status == "exited"), "Error": ""},
        # With a terminal the log comes as it is, and without the engine's framing of two streams.
        "Config": {"Tty": True, "Image": container.image},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": container.options["HostConfig"]["PortBindings"], "Networks": {}},
    }
