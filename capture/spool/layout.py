"""Names inside the spool directory, for writer, reader and archive alike.

<spool_dir>/<incarnation>/lock               flock(2)ed as long as the writing process lives
                          meta               JSON: replica id, incarnation, layout version
                          lost               exchanges without a row (see `lost`)
                          000000000001.seg   segments, numbered from 1; numbers grow, gaps are legal
           <incarnation>.new/                a folder being made, or left behind by a crash at start-up
           .archive/                         the archive process's own state
"""

from __future__ import annotations

import re

SPOOL_LAYOUT_VERSION = 1
LOCK_NAME = "lock"
META_NAME = "meta"
LOST_NAME = "lost"
STAGING_SUFFIX = ".new"
ARCHIVE_STATE_NAME = ".archive"
_SEGMENT_SUFFIX = ".seg"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def segment_name(number: int) -> str:
    return f"{number:012d}{_SEGMENT_SUFFIX}"


def segment_number(name: str) -> int | None:
    """The inverse of `segment_name`; None for any other file."""
    stem = name.removesuffix(_SEGMENT_SUFFIX)
    return int(stem) if len(stem) == 12 and stem.isascii() and stem.isdigit() and stem != name else None


def is_incarnation(name: str) -> bool:
    return _UUID.match(name) is not None
