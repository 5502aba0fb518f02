"""The images of others: each named by a whole version, and by the digest of what stood under it when it was looked at.

`make digests` asks the Docker engine at hand, which asks the registries, and writes the digests beside the versions. A
version can be put under another image by whoever holds the registry's account; a digest cannot. Nothing here knows a
digest by itself, and without a network nothing is written.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ("docker-compose.yml", "Dockerfile", "stack/docker.py")
"""Where images of others are named."""
OWN: Final = "temporal-order-orchestrator"
_REFERENCE: Final = re.compile(
    r"""(?x)
    (?P<before> image:\s+(?:&\S+\s+)? | ^ARG\ BASE= | ^[A-Z]+_IMAGE\ =\ " )
    (?P<name> [a-z0-9][a-z0-9./_-]* ) (?: : (?P<tag> [A-Za-z0-9_][A-Za-z0-9._-]* ) )?
    (?: @ (?P<digest> sha256:[0-9a-f]{64} ) )?
    """,
    re.MULTILINE,
)
_PARTS: Final = {"postgres": 2}
"""How many numbers make a whole version, where that is not three."""
_WHOLE: Final = 3


def named_in(text: str) -> list[tuple[str, str, str | None]]:
    """The images of others that a file names: name, version, and digest where it has one."""
    found = ((one["name"], one["tag"] or "", one["digest"]) for one in _REFERENCE.finditer(text) if one["name"] != OWN)
    return list(found)


def is_floating(name: str, tag: str) -> bool:
    """Whether a version is not whole, and so meant to become another image: `latest`, `3.13`, `16-alpine`."""
    numbers = re.match(r"v?\d+(?:\.\d+)*", tag)
    return numbers is None or numbers[0].count(".") + 1 < _PARTS.get(name, _WHOLE)


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """The file's text with these digests beside the versions.

    Args:
        text: of the file.
        digests: by name and version, as ``name:1.2.3``; what has none stays as it is.
    """

    def with_digest(found: re.Match[str]) -> str:
        image = f"{found['name']}:{found['tag']}"
        digest = digests.get(image)
        return found[0] if digest is None else f"{found['before']}{image}@{digest}"

    return _REFERENCE.sub(with_digest, text)


def ask_engine(images: Iterable[str]) -> dict[str, str]:
    """The digest of each image as its registry has it now: of all its platforms, where it has several.

    Raises:
        DockerException: no engine answers, or it cannot ask a registry.
    """
    import docker  # noqa: PLC0415 -- needed only here

    client = docker.from_env()
    try:
        return {image: str(client.images.get_registry_data(image).id) for image in images}
    finally:
        client.close()


def write(root: Path, ask: Callable[[Iterable[str]], Mapping[str, str]]) -> dict[str, str]:
    """Asks for every image, and then writes all digests.

    Args:
        root: the clone.
        ask: gives the digest of each image.

    Returns:
        What was written.
    """
    texts = {name: (root / name).read_text() for name in FILES}
    images = sorted({f"{name}:{tag}" for text in texts.values() for name, tag, _ in named_in(text)})
    digests = dict(ask(images))
    if wrong := [image for image in images if not re.fullmatch(r"sha256:[0-9a-f]{64}", digests.get(image, ""))]:
        raise ValueError(f"no digest was answered for {', '.join(wrong)}: nothing was written")
    for name, text in texts.items():
        (root / name).write_text(pinned(text, digests))
    return digests


def without_digest(root: Path) -> list[str]:
    """The images that are named by their version alone, with the file."""
    return [
        f"{file}: {name}:{tag}"
        for file in FILES
        for name, tag, digest in named_in((root / file).read_text())
        if digest is None
    ]


def main(arguments: list[str]) -> int:
    """Runs `make digests`; with --check only says what has none, and ends with 1 where there is such an image."""
    if arguments == ["--check"]:
        open_ = without_digest(ROOT)
        sys.stdout.writelines(f"{one} has no digest\n" for one in open_)
        return 1 if open_ else 0
    try:
        written = write(ROOT, ask_engine)
    except Exception as error:  # noqa: BLE001 -- whatever kept the engine from answering is what a person has to know
        sys.stderr.write(f"nothing was written: {error}\nThis needs a Docker engine that can ask the registries.\n")
        return 1
    sys.stdout.writelines(f"{image}@{digest}\n" for image, digest in written.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
