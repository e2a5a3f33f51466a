"""What stands for a value that was found: `<EMAIL_ADDRESS>`, or with a key `<EMAIL_ADDRESS_hkbdalmcpo>`. Pure.

The letters are HMAC-SHA256 (RFC 2104) of the entity and the value as it was found, under a key that is derived with
HKDF-SHA256 (RFC 5869) from the operator's secret for one team and one period:

    secret ──HKDF(team, period)──► key ──HMAC(entity, 0x00, value)──► first 40 bits, four to a letter from a to p

So in one team and period the same value is the same placeholder, in every turn of a conversation (an agent resends its
history, and a prefix that changes each turn would lose the provider's prompt cache), in every replica and in the
archive; another team or period has another. Without the key nobody can test a guess, which a plain hash of a telephone
number would allow.

Letters, not hexadecimal digits: ten digits in a row would be a telephone number to a detector.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

PLACEHOLDER_BITS: Final = 40
"""Among n different values of one entity, in one team and period, two share a placeholder with odds of about n² / 2^41:
1 to 2.2 million for 1,000 values, 1 to 22,000 for 10,000, 1 to 220 for 100,000."""
PERIOD_DAYS_DEFAULT: Final = 30
_LETTERS: Final = "abcdefghijklmnop"
_SALT: Final = b"headgate placeholders 1"
_DAY_NS: Final = 86_400 * 10**9


def placeholder(entity: str, value: bytes = b"", key: bytes | None = None) -> str:
    """What stands for `value` (UTF-8), a hit of `entity`. No detector takes it for a hit again."""
    if key is None:
        return f"<{entity}>"
    digest = hmac.digest(key, entity.encode() + b"\0" + value, "sha256")
    nibbles = digest[: PLACEHOLDER_BITS // 8].hex()
    return f"<{entity}_{''.join(_LETTERS[int(nibble, 16)] for nibble in nibbles)}>"


@dataclass(frozen=True, slots=True)
class PlaceholderKeys:
    """Derives the key of a team and period. `secret` None: there are no keys, and all placeholders are plain."""

    secret: bytes | None = field(default=None, repr=False)
    period_days: int = PERIOD_DAYS_DEFAULT

    def of(self, team: str | None, at_ns: int) -> bytes | None:
        """The key at a time (ns since the Unix epoch). Periods are counted in UTC days from the epoch, so that replicas
        agree. None without a secret, and for a caller without a team: strangers must not be told apart or alike."""
        if self.secret is None or team is None:
            return None
        period = at_ns // (self.period_days * _DAY_NS)
        return _hkdf(self.secret, _SALT, f"{self.period_days}.{period}.{team}".encode())


PLAIN: Final = PlaceholderKeys()
"""No keys at all."""


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of RFC 5869, the first 32 bytes: extract, then one step of expand."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")
