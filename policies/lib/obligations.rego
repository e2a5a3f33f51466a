# METADATA
# title: What the archive may keep
# description: |
#   The team's `capture` and `retention_class`, and what `capture_by_class` and `retention_by_class` say of the classes
#   of data that were found: the strictest wins. Where it cannot be told what was found, all of them count.
package headgate.lib.obligations

import data.headgate.lib.team

_levels := ["metadata", "redacted", "full"] # the strictest first

_known := {"metadata", "redacted", "full"}

# METADATA
# scope: document
# description: full, redacted or metadata.
# schemas:
#   - input: schema.input
capture := [level | some level in _levels; level in _allowed][0]

_allowed := {_level(word) | some word in _words("capture_by_class")} | {_team_level}

default _team_level := "metadata"

_team_level := _level(team.settings.capture)

default _level(_) := "metadata"

_level(word) := word if word in _known

# METADATA
# scope: document
# description: |
#   A word that the archive's retention knows. `retention_order` lists them, the strictest first; one that a class asks
#   for and that is not in there counts as stricter.
# schemas:
#   - input: schema.input
retention_class := min(_unordered) if count(_unordered) > 0

else := word if word := [listed | some listed in team.list("retention_order"); listed in _asked][0]

else := _own

default _own := "default"

_own := team.settings.retention_class if is_string(team.settings.retention_class)

_by_class := {word | some word in _words("retention_by_class"); is_string(word)}

_asked := {_own} | _by_class

_unordered := {word | some word in _by_class; not word in team.list("retention_order")}

# What a setting by class says of the classes found.
_words(key) := {word | some data_class, word in team.map(key); _may_hold(data_class)}

_may_hold(data_class) if data_class in {finding.data_class | some finding in input.findings}

_may_hold(_) if not _all_known

_all_known if {
	input.findings_truncated == false
	is_array(input.findings)
	every finding in input.findings { is_string(finding.data_class) }
}
