# METADATA
# title: Models a team may use
# description: The model asked for must be on the team's list. A call that is not read (opaque) has no model to judge.
# schemas:
#   - input: schema.input
# custom:
#   id: access.model_allowlist
#   severity: high
#   enforcement: enforce
#   reads: [principal.team, request.api, request.model]
package headgate.rules.access.model_allowlist

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.request.api == "opaque"

permitted if {
	some pattern in team.list("models")

	# null: no delimiter, so that * crosses dots too (claude-* means claude-3.5-sonnet).
	glob.match(pattern, null, input.request.model)
}

default _model := "without a name"

_model := text.printable(input.request.model)

message := sprintf("team %s may not use model %s; allowed: %s", [team.name, _model, text.listed(team.list("models"))])
