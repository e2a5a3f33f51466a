# METADATA
# title: Where a team's traffic may go
# description: The provider's host must be on the team's list, exactly.
# schemas:
#   - input: schema.input
# custom:
#   id: access.destination_allowlist
#   severity: critical
#   enforcement: enforce
#   reads: [principal.environment, principal.team, route.destination]
package headgate.rules.access.destination_allowlist

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.route.destination in team.list("destinations")

default _destination := "an unknown host"

_destination := text.printable(input.route.destination)

message := sprintf("team %s may not send to %s; allowed: %s", [
	team.name,
	_destination,
	text.listed(team.list("destinations")),
])
