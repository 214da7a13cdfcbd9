"""A moment of a session that it can return to: what a branch of a run goes on from."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.disk import disk_errors
from ftkit.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from ftkit.training.session import TrainSession


class Moment:
    """A session as it is between two steps, in a temporary file that goes when this object goes.

    Only what has ever trained is kept, with the optimizer's memory: of a run that trains the head, kilobytes. Going on
    from it is exact to the bit with `cache="off"`; the feature cache is filled anew, which may change a rounding.

    Args:
        session: It must not train meanwhile.

    Raises:
        DiskError: The folder for temporary files is full or cannot be written.
    """

    def __init__(self, session: TrainSession) -> None:
        with disk_errors(Path("A folder for temporary files"), "Set TMPDIR to a folder on another disk."):
            self.folder = Path(tempfile.mkdtemp(prefix="ftkit-moment-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.folder, True)
        self.step = session.step_count
        save_checkpoint(session, self.folder, whole=False)

    def restore(self, session: TrainSession) -> None:
        """Bring the same session back to this moment: weights, optimizer, plan, history and place in the epoch."""
        load_checkpoint(session, self.folder)
