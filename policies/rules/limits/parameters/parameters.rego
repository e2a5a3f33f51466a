# METADATA
# title: Bounds on what a call may ask for
# description: |
#   `parameter_limits` of the team bound `temperature`, `choices` (answers to one prompt) and `image_count`. A
#   parameter that is not named there is not bounded. One that the request leaves to the provider is not asked for, so
#   it is within any bound. A call that is not read (opaque) has none.
# schemas:
#   - input: schema.input
# custom:
#   id: limits.parameters
#   severity: medium
#   enforcement: enforce
#   reads:
#     - principal.environment
#     - principal.team
#     - request.api
#     - request.choices
#     - request.image_count
#     - request.temperature
package headgate.rules.limits.parameters

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if not team.restricts("parameter_limits")

permitted if input.request.api == "opaque"

permitted if {
	is_object(team.settings.parameter_limits)
	count(_beyond) == 0
}

_asked["choices"] := input.request.choices

_asked["image_count"] := input.request.image_count

_asked["temperature"] := input.request.temperature

_beyond contains name if {
	some name, bound in team.map("parameter_limits")
	not _within(name, bound)
}

default _within(_, _) := false

_within(name, bound) if {
	is_number(bound)
	is_number(_asked[name])
	_asked[name] <= bound
}

_within(name, bound) if {
	is_number(bound)
	name in {"image_count", "temperature"}
	is_string(input.request.api)
	not name in object.keys(_asked)
}

message := sprintf("team %s must stay within its parameter limits (%s): lower %s", [
	team.name,
	text.listed([sprintf("%s at most %v", [name, bound]) | some name, bound in team.map("parameter_limits")]),
	text.listed(sort(_beyond)),
])
