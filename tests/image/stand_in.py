"""A stand-in for the image that ours is built on, where no registry of images can be asked.

It is a Debian with a Python of the same minor version and pip, made by debootstrap from Debian's packages, under the
name that the Dockerfile asks for. What is shown on it is shown of our Dockerfile, our packages and our code, and not of
the image that stands in the Dockerfile.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from stack.paths import cache_dir
from tests.deploy.digests import named_in

ROOT = Path(__file__).parents[2]
_SUITE = "trixie"
_PYTHON = "python3.13"
_MAKE_SECONDS = 600
_IMPORT_SECONDS = 120
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


class NoBaseError(Exception):
    """The stand-in could not be made."""


def base_name() -> str:
    """The image that ours is built on, without the digest, which no stand-in has.

    Raises:
        NoBaseError: it has another Python than the stand-in.
    """
    ((name, tag, _),) = named_in((ROOT / "Dockerfile").read_text())
    if not f"{name}{tag}".startswith(f"{_PYTHON}."):
        raise NoBaseError(f"the Dockerfile builds on {name}:{tag}; the stand-in is for one image, of {_PYTHON}")
    return f"{name}:{tag}"


def import_stand_in(environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Puts the stand-in into an engine, after making it where it is missing. Needs root.

    Args:
        environment: names the engine.
        say: is told what takes long.

    Raises:
        NoBaseError: it cannot be made.
    """
    made_by = sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    archive = cache_dir() / "image" / f"stand-in-{made_by}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(archive.parent / ".lock"):
        if not archive.exists():
            say("making a stand-in for the image's base from Debian's packages (once; half a minute)")
            for old in archive.parent.glob("*.tar"):
                old.unlink()
            _make(archive)
    bundle = f"/{_CERTIFICATES}"
    change = f"ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin SSL_CERT_FILE={bundle} PIP_CERT={bundle}"
    _run(["docker", "import", "--change", change, str(archive), base_name()], _IMPORT_SECONDS, environment)


def _make(archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        root, draft = Path(folder) / "root", Path(folder) / "draft.tar"
        packages = f"{_PYTHON},{_PYTHON}-venv,python3-pip-whl,ca-certificates"
        _run(["debootstrap", "--variant=minbase", f"--include={packages}", _SUITE, str(root), _mirror()], _MAKE_SECONDS)
        for path in _NEEDLESS:
            shutil.rmtree(root / path, ignore_errors=True)
        # Debian's Python leaves pip to Debian; the image that it stands for has one of its own.
        (root / f"usr/lib/{_PYTHON}/EXTERNALLY-MANAGED").unlink()
        (root / "usr/local/bin/python").symlink_to(f"/usr/bin/{_PYTHON}")
        install = (
            f"wheel=$(ls /usr/share/python-wheels/pip-*.whl); {_PYTHON} $wheel/pip install --quiet --no-index $wheel"
        )
        _run(["chroot", str(root), "sh", "-c", f"{install} --root-user-action=ignore"], _MAKE_SECONDS)
        # Whom this machine trusts, the image that is built on it trusts: packages may come by a proxy.
        shutil.copyfile(f"/{_CERTIFICATES}", root / _CERTIFICATES)
        _run(["tar", "--directory", str(root), "--numeric-owner", "--create", "--file", str(draft), "."], _MAKE_SECONDS)
        draft.replace(archive)


def _mirror() -> str:
    """The server from which this machine has its Debian packages."""
    targets = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], _IMPORT_SECONDS)
    return next(line for line in targets.splitlines() if "security" not in line)


def _run(command: list[str], timeout_seconds: float, environment: Mapping[str, str] = os.environ) -> str:
    path = f"{environment['PATH']}:/usr/sbin:/sbin"
    ended = subprocess.run(
        command,
        env={**environment, "PATH": path, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if ended.returncode != 0:
        raise NoBaseError(
            f"{' '.join(command)} left with {ended.returncode}\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}"
        )
    return ended.stdout
