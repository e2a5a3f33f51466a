# METADATA
# title: What holds for the calling team
# description: |
#   `settings` is the `default` entry of data/data.yaml with the team's own entry laid over it: objects are merged,
#   lists and scalars are replaced. An unknown team, or none, gets the default. Every rule reads its allow-lists from
#   here, and every allow-list that is missing allows nothing.
package headgate.lib.team

import data.data as config

# METADATA
# description: The calling team, or "(unattributed)", for messages.
# schemas:
#   - input: schema.input
default name := "(unattributed)"

name := input.principal.team if is_string(input.principal.team)

default _own := {}

_own := config.teams[input.principal.team] if is_object(config.teams[input.principal.team])

default _default := {}

_default := config.default if is_object(config.default)

# METADATA
# description: The merged settings; always an object.
settings := object.union(_default, _own)

# METADATA
# description: A list setting; empty where it is missing or no list.
default list(_) := []

list(key) := settings[key] if is_array(settings[key])

# METADATA
# description: An object setting; empty where it is missing or no object.
default map(_) := {}

map(key) := settings[key] if is_object(settings[key])
