"""Renders Envoy's bootstrap from `headgate.yaml`.

    render(configuration, teams, …) -> dict        to_yaml(dict) -> str        validate(path, envoy)

Plain dicts, in Envoy's own field names: what this writes can be held beside Envoy's documentation line by line. Envoy
itself (`--mode validate`) is the judge of them, and a test parses them with envoy-data-plane's generated types too
(docs/decisions/002 has the measurements). Each choice is explained in envoy/README.md.
"""

from extproc.envoy_config.bootstrap import RenderOptions, render, to_yaml
from extproc.envoy_config.clusters import UpstreamAddress
from extproc.envoy_config.validate import validate

__all__ = ["RenderOptions", "UpstreamAddress", "render", "to_yaml", "validate"]
