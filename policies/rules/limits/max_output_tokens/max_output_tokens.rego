# METADATA
# title: A bound on what a call may generate
# description: |
#   The request must say how many tokens it wants at most, and that number must be within the team's limit. An example
#   of a rule in shadow: it leaves its reason in the archive and stops nobody, until `enforcement` says otherwise.
# schemas:
#   - input: schema.input
# custom:
#   id: limits.max_output_tokens
#   severity: low
#   enforcement: shadow
#   reads: [principal.environment, principal.team, request.api, request.max_output_tokens]
package headgate.rules.limits.max_output_tokens

import data.headgate.lib.team
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.request.api == "opaque"

permitted if team.settings.max_output_tokens == "unlimited"

permitted if {
	is_number(team.settings.max_output_tokens)
	is_number(input.request.max_output_tokens)
	input.request.max_output_tokens <= team.settings.max_output_tokens
}

default _limit := "not set"

_limit := sprintf("%v", [team.settings.max_output_tokens])

message := sprintf("team %s must bound its output: ask for at most the limit of tokens (%s)", [team.name, _limit])
