"""The whole of Headgate on one machine: OPA, extproc, capture, Envoy and, unless it is `live`, an upstream.

plan(config_path, …) -> Plan        Stack(plan): a context manager, for `headgate up` and for tests
"""

from extproc.stack.plan import Plan, plan
from extproc.stack.stack import Stack

__all__ = ["Plan", "Stack", "plan"]
