"""Every error that capture raises on purpose, by whose fault it is (the tree continues `extproc.errors`).

    HeadgateError
    ├── OperatorError
    │   ├── SpoolUnusable     the spool folder cannot be created, locked or read     → stops start-up
    │   └── DependencyError
    │       └── ArchiveUnusable   there is no archive, it is empty, or somebody else has it   → exit code 3
    ├── SpoolDamaged          bytes of the spool are not what was written         → counted, and the row says so
    ├── ClientError
    │   └── QueryRefused      a query, id or option that cannot be answered          → exit code 2
    └── LimitExceeded
        ├── SpoolFull         the disk took no more bytes: deny, or pass and count
        └── SpoolNotDurable   fdatasync failed: these frames may not survive power loss

No message holds a body, a key or a token.
"""

from __future__ import annotations

from extproc.errors import ClientError, DependencyError, HeadgateError, LimitExceeded, OperatorError


class SpoolUnusable(OperatorError):
    """The spool folder cannot be used at all. The message names the path and the reason."""


class SpoolFull(LimitExceeded):
    """No room for the frame, which was not written at all. The writer goes on working when there is room again.

    `code` is `spool_full` for a disk, a quota or `spool_bytes_max`, `spool_frame_too_large` for a frame that no segment
    can hold, `spool_io_error` for any other refusal of the disk.
    """


class SpoolNotDurable(LimitExceeded):
    """fdatasync failed after these frames were written: they survive a process death, but perhaps not power loss."""


class SpoolDamaged(HeadgateError):
    """A frame that was good when it was first read is not good any more."""


class ArchiveUnusable(DependencyError):
    """The archive cannot be opened, or there is nothing in it yet."""


class QueryRefused(ClientError):
    """A query that cannot be answered as it stands. The message is one line and says why."""
