# METADATA
# title: The caller is known
# description: Somebody has to answer for a call and pay for it. A caller that no team has claimed may not call.
# schemas:
#   - input: schema.input
# custom:
#   id: access.attributed_caller
#   severity: high
#   enforcement: enforce
#   reads: [principal.attributed, principal.environment, principal.team]
package headgate.rules.access.attributed_caller

import data.headgate.lib.verdict

message := "this caller belongs to no team: ask the platform team to add it to the teams file"

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if {
	input.principal.attributed == true
	input.principal.team != ""
}
