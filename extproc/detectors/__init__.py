"""The detectors, in one table. Adding one is a file in this folder, a line here, and its hits and misses under
`tests/detectors/`. Detectors never import each other.
"""

from __future__ import annotations

from extproc.detector import Detector
from extproc.detectors import pii, secrets

DETECTORS: tuple[Detector, ...] = (
    pii.DETECTOR,
    secrets.DETECTOR,
)
