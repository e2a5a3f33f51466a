"""The words of Cohere's enumerations, which may steer the model."""

from __future__ import annotations

WORDS = frozenset(
    """ACCURATE AUTO AUTO_PRESERVE_ORDER CONTEXTUAL DISABLED ENABLED END FAST NONE OFF REQUIRED START STRICT
    clustering classification disabled enabled image json_object search_document search_query text""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
"""A word that is none of these could be text or a secret."""
