"""A real API server of Kubernetes on etcd, without nodes: it judges what is sent to it, and runs nothing."""

import json
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stack.paths import cache_dir
from tests.chart.built import Program, built
from tests.helpers.debian import unpacked
from tests.helpers.system.processes import free_port

READY_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_ADMISSION: Final = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [
        {
            "name": "PodSecurity",
            "configuration": {
                "apiVersion": "pod-security.admission.config.k8s.io/v1",
                "kind": "PodSecurityConfiguration",
                "defaults": {"enforce": "restricted", "enforce-version": "latest", "warn": "restricted"},
            },
        }
    ],
}
"""Every namespace takes pods of the restricted profile alone, and says so of what would make others."""

Object = dict[str, Any]


@dataclass(slots=True)
class Cluster:
    """The API server: asked over HTTP, as everybody asks it."""

    url: str
    token: str
    folder: Path
    warnings: list[str] = field(default_factory=list)
    """What it had to say of objects that it took."""

    def ask(self, method: str, path: str, body: Any = None, **parameters: str) -> Object:
        """One request; unknown and doubled fields are errors.

        Raises:
            httpx.HTTPStatusError: it refused.
        """
        answer = httpx.request(
            method,
            f"{self.url}{path}",
            json=body,
            params={"fieldValidation": "Strict", **parameters} if method != "GET" else parameters,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=False,  # noqa: S501 - its certificate is one that it has made for itself
            timeout=30,
        )
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        self.warnings += answer.headers.get_list("warning")
        found: Object = answer.json()
        return found

    @property
    def kubeconfig(self) -> Path:
        """What Helm takes to reach it."""
        path = self.folder / "kubeconfig.json"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "here", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
                    "users": [{"name": "admin", "user": {"token": self.token}}],
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                    "current-context": "here",
                }
            )
        )
        return path


def etcd() -> Path:
    """Debian's etcd: one on the PATH, else out of its package."""
    found = shutil.which("etcd")
    kept = cache_dir() / "tools" / "etcd"
    return Path(found) if found else kept if kept.exists() else unpacked("etcd-server", "usr/bin/etcd", kept)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts; what it keeps is in the folder."""
    token, port, (client, peer) = secrets.token_hex(16), free_port(), (free_port(), free_port())
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    (folder / "admission.json").write_text(json.dumps(_ADMISSION))
    (folder / "accounts.key").write_bytes(_private_key())
    with _process(folder / "etcd.log", [str(etcd()), *_etcd_options(folder, client, peer)]):
        options = _apiserver_options(folder, port, client)
        with _process(folder / "apiserver.log", [str(built(Program.APISERVER)), *options]) as running:
            made = Cluster(f"https://127.0.0.1:{port}", token, folder)
            _wait_until_ready(made, running)
            yield made


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _etcd_options(folder: Path, client: int, peer: int) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver_options(folder: Path, port: int, etcd_port: int) -> list[str]:
    key = folder / "accounts.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://accounts.example",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--admission-control-config-file={folder / 'admission.json'}",
    ]


@contextmanager
def _process(log: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _wait_until_ready(made: Cluster, running: subprocess.Popen[bytes]) -> None:
    waited = threading.Event()
    for _ in range(round(READY_SECONDS / _POLL_SECONDS)):
        with suppress(httpx.TransportError, AssertionError):
            made.ask("GET", "/api/v1/namespaces/default")
            return
        assert running.poll() is None, (made.folder / "apiserver.log").read_text()[-2_000:]
        waited.wait(_POLL_SECONDS)
    raise AssertionError(
        f"not ready within {READY_SECONDS:g} s\n{(made.folder / 'apiserver.log').read_text()[-2_000:]}"
    )


def complete_job(made: Cluster, namespace: str, name: str) -> None:
    """Says that a Job has ended well, as Kubernetes' controllers would once its pod has; here is none to run it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
    job = made.ask("GET", path)
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastTransitionTime": now,
            "lastProbeTime": now,
            "reason": "CompletionsReached",
        }
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    job["status"] = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
    made.ask("PUT", f"{path}/status", job)
