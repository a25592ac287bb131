"""Drawing at the end of a command: a signal waits until the pictures are whole, and then stops what would follow."""

from pathlib import Path


def draw_folder(folder: Path) -> None:
    """Draw what the folder of a run, a sweep or an analysis can show.

    Raises:
        SystemExit: after a signal, with the pictures on disk.
    """
    from floss.figures import draw
    from floss.runtime.interrupt import interruptible

    with interruptible() as interrupt:
        draw(folder)
    if interrupt.signal:
        raise SystemExit(interrupt.status)
