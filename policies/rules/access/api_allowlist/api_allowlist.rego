# METADATA
# title: APIs a team may speak
# description: The wire format must be on the team's list.
# schemas:
#   - input: schema.input
# custom:
#   id: access.api_allowlist
#   severity: high
#   enforcement: enforce
#   reads: [principal.environment, principal.team, request.api]
package headgate.rules.access.api_allowlist

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.request.api in team.list("apis")

default _api := "unknown"

_api := text.printable(input.request.api)

message := sprintf("team %s may not use the api %s; allowed: %s", [team.name, _api, text.listed(team.list("apis"))])
