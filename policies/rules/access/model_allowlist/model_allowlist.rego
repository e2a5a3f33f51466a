# METADATA
# title: Models a team may use
# description: |
#   The model asked for must be on the team's list, and all that the provider may use in its stead. A call that is not
#   read (opaque) has no model to judge, and some apis run none: lists of models, tools over MCP. A call that leaves
#   the model to the provider passes where the team may use any (*).
# schemas:
#   - input: schema.input
# custom:
#   id: access.model_allowlist
#   severity: high
#   enforcement: enforce
#   reads: [principal.environment, principal.team, request.api, request.fallback_models, request.model]
package headgate.rules.access.model_allowlist

import data.headgate.lib.names
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.request.api in _without_model

permitted if {
	_listed(input.request.model)
	every model in names.fallbacks { _listed(model) }
}

permitted if {
	input.request.api
	not input.request.model
	"*" in team.list("models")
	every model in names.fallbacks { _listed(model) }
}

_without_model := {"opaque", "mcp", "openai.models", "anthropic.models", "gemini.models"}

_listed(model) := names.match(team.list("models"), model)

default _model := "(none that can be read)"

_model := text.printable(input.request.model) if not _listed(input.request.model)

_model := text.printable([model | some model in names.fallbacks; not _listed(model)][0]) if _listed(input.request.model)

message := sprintf("team %s may not use model %s; allowed: %s", [team.name, _model, text.listed(team.list("models"))])
