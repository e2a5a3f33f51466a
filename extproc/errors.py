"""Every error Headgate raises, sorted by whose fault it is.

    HeadgateError
    ├── ClientError          the caller sent something we refuse          → 4xx in the API's own format
    ├── ProviderError        the provider answered something unreadable   → recorded, never hides the answer
    ├── OperatorError        configuration, files, permissions            → stops start-up, exit code 2
    │   └── DependencyError  OPA, Envoy, a socket cannot be reached       → exit code 3, or a fail-closed denial
    └── LimitExceeded        a stated limit was hit                       → the limit's documented answer

Anything else that escapes is a bug of ours. Messages may be shown to people and land in logs, so none holds
prompt text, response text, a key or a token.
"""

from __future__ import annotations


class HeadgateError(Exception):
    """Root of everything raised on purpose. `code` is stable and documented; the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return (type(self), (self.code, self.message))  # crosses process boundaries (see inspector.py)


class ClientError(HeadgateError):
    """The caller's request is refused. `status` is the HTTP status that the API's SDKs turn into their exception."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return (type(self), (self.code, self.message, self.status))


class ProviderError(HeadgateError):
    """The provider's answer could not be read as its API says."""


class OperatorError(HeadgateError):
    """Something the operator has to set right. The message names the file and field."""


class DependencyError(OperatorError):
    """A part that we depend on (OPA, Envoy, a socket) is not reachable."""


class LimitExceeded(HeadgateError):
    """A limit with a name and a unit was hit."""
