# METADATA
# title: Parts that nobody can look into
# description: An image, audio, a file or a reference passes only if the team's list has its kind.
# schemas:
#   - input: schema.input
# custom:
#   id: content.uninspected_parts
#   severity: high
#   enforcement: enforce
#   reads: [principal.environment, principal.team, uninspected_parts]
package headgate.rules.content.uninspected_parts

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

default permitted := false

permitted if {
	is_array(input.uninspected_parts)
	every part in input.uninspected_parts { part.kind in team.list("uninspected_kinds") }
}

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

_kinds := {text.printable(object.get(part, "kind", "unknown")) | some part in input.uninspected_parts}

_refused := sort({kind | some kind in _kinds; not kind in team.list("uninspected_kinds")})

message := sprintf("team %s may not send parts that the gateway cannot read (%s); allowed: %s", [
	team.name,
	text.listed(_refused),
	text.listed(team.list("uninspected_kinds")),
])
