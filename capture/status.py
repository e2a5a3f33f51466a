"""What the archive processes say of themselves, in `<archive_dir>/_status/<name>.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

STATUS_FOLDER = "_status"


class ArchiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`opened = archived + open + pending + missing`; missing is 0 unless bytes of the spool were damaged."""

    at: float
    """Unix time, seconds."""
    opened: int
    """Exchanges that the sidecar opened, as far as its log was read."""
    archived: int
    open: int
    pending: int
    """Ended, not published yet."""
    missing: int
    lost: int
    """Exchanges without a row because the spool's disk was full."""
    orphan_frames: int
    undecodable_frames: int
    damaged_bytes: int
    spool_bytes: int
    live_incarnations: int
    dead_incarnations: int
    error: str | None = None
    """Why the last round failed; None when it did not."""


def write_status(archive_dir: Path, name: str, status: ArchiveStatus) -> None:
    """Replace the status of one archive process. Readers see the old one or the new one; it is not fsynced."""
    path = archive_dir / STATUS_FOLDER / f"{name}.json"
    staged = path.with_suffix(".new")
    staged.write_bytes(msgspec.json.encode(status) + b"\n")
    staged.rename(path)


def read_status(archive_dir: Path, name: str) -> ArchiveStatus | None:
    """The status of one archive process; None when there is none, or it is unreadable."""
    try:
        return msgspec.json.decode((archive_dir / STATUS_FOLDER / f"{name}.json").read_bytes(), type=ArchiveStatus)
    except (OSError, msgspec.DecodeError):
        return None


def read_statuses(archive_dir: Path) -> list[ArchiveStatus]:
    """The statuses of all archive processes; unreadable ones are left out."""
    names = sorted(path.stem for path in (archive_dir / STATUS_FOLDER).glob("*.json"))
    return [status for name in names if (status := read_status(archive_dir, name)) is not None]
