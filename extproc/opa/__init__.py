"""Asking OPA, and remembering what it said while it is certain that it would say the same again.

Policy ──► Memo          what was decided under this policy, by exact input bytes
   ├─────► Heartbeat     which policy is live, four times a second, on a connection of its own
   │          └► bundle_facts.examine   may its decisions be remembered at all? read from the running policy
   └─────► OpaClient     one question, one answer, one deadline
"""

from extproc.opa.client import CONNECTIONS_MAX, DECISION_PATH, INPUT_BYTES_MAX, RESPONSE_BYTES_MAX, OpaClient
from extproc.opa.policy import Policy

__all__ = ["CONNECTIONS_MAX", "DECISION_PATH", "INPUT_BYTES_MAX", "RESPONSE_BYTES_MAX", "OpaClient", "Policy"]
