"""What hatchling does beside packing: it writes into the package which revision of the source it was built of."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RevisionHook(BuildHookInterface[Any]):
    """Adds ``orders/revision.txt`` to a wheel or sdist that is built from a clone.

    From anything else nothing is added: an unpacked sdist has the file already, and the container image says it by a
    variable. An editable installation asks git each time, so it gets none either.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs; ``version`` is the kind of build."""
        root = Path(self.root)
        if version == "editable" or not (root / ".git").exists():
            return
        ours = runpy.run_path(str(root / "orders/version.py"))
        revision = ours["revision_of"](root)
        if revision is None:
            return
        folder = Path(tempfile.mkdtemp())
        self._made = folder / ours["REVISION_FILE"]
        self._made.write_text(revision + "\n")
        build_data["force_include"][str(self._made)] = f"orders/{ours['REVISION_FILE']}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Called by hatchling when it has packed: deletes what was made for it."""
        made: Path | None = getattr(self, "_made", None)
        if made is not None:
            made.unlink()
            made.parent.rmdir()
