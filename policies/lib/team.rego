# METADATA
# title: What holds for the calling team
# description: |
#   `settings` are four layers of data/data.yaml, each laid over the one before: `default`, its entry for the caller's
#   environment, the team's own entry, that one's entry for the environment. Objects are merged, lists and scalars are
#   replaced. An unknown team, or none, gets the default. Every rule reads its allow-lists from here, and every
#   allow-list that is missing allows nothing. Where environments matter and the caller's is not known, there are no
#   settings at all.
package headgate.lib.team

import data.data as config

# METADATA
# scope: document
# description: The calling team, or "(unattributed)", for messages; with its environment where that makes a difference.
# schemas:
#   - input: schema.input
default name := "(unattributed)"

name := input.principal.team if {
	is_string(input.principal.team)
	not _differs
}

name := sprintf("%s (%s)", [input.principal.team, input.principal.environment]) if {
	is_string(input.principal.team)
	_differs
}

default _own := {}

_own := config.teams[input.principal.team] if is_object(config.teams[input.principal.team])

default _default := {}

_default := config.default if is_object(config.default)

# METADATA
# scope: document
# description: The merged settings; always an object.
default settings := {}

settings := object.union_n([_default, _here(_default), _own, _here(_own)]) if not _unplaced

# What an entry says for the caller's environment.
default _here(_) := {}

_here(entry) := entry.environments[input.principal.environment] if {
	is_object(entry.environments[input.principal.environment])
}

_differs if {
	some entry in [_default, _own]
	is_object(entry.environments[input.principal.environment])
}

# It cannot be told which settings hold.
_unplaced if {
	some entry in [_default, _own]
	"environments" in object.keys(entry)
	not _placed(entry)
}

_placed(entry) if {
	is_object(entry.environments)
	is_string(input.principal.environment)
}

# METADATA
# scope: document
# description: |
#   Is there such a setting at all? For rules that hold only where somebody asked for them. Where it cannot be told
#   which settings hold, there is.
default restricts(_) := false

restricts(key) if key in object.keys(settings)

restricts(_) if _unplaced

# METADATA
# scope: document
# description: A list setting; empty where it is missing or no list.
default list(_) := []

list(key) := settings[key] if is_array(settings[key])

# METADATA
# scope: document
# description: An object setting; empty where it is missing or no object.
default map(_) := {}

map(key) := settings[key] if is_object(settings[key])
