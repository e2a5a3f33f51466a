"""The detectors, in one table. Adding one is a file in this folder, a line here, and its hits and misses under
`tests/detectors/`. Detectors never import each other.
"""

from __future__ import annotations

from extproc.detector import Detector
from extproc.detectors import (
    cloud_keys,
    europe,
    injection,
    network,
    pii,
    secrets,
    tokens,
    united_states,
    wallets,
    world,
)

DETECTORS: tuple[Detector, ...] = (
    pii.DETECTOR,
    europe.DETECTOR,
    united_states.DETECTOR,
    world.DETECTOR,
    wallets.DETECTOR,
    network.DETECTOR,
    injection.DETECTOR,
    secrets.DETECTOR,
    cloud_keys.DETECTOR,
    tokens.DETECTOR,
)
