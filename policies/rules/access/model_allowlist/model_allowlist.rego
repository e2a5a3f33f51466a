# METADATA
# title: Models a team may use
# description: |
#   The model asked for must be on the team's list, and all that the provider may use in its stead. A call that is not
#   read (opaque) has no model to judge, and some apis run none: lists of models, tools over MCP. A call that leaves the
#   model to the provider passes where the team may use any (*).
# schemas:
#   - input: schema.input
# custom:
#   id: access.model_allowlist
#   severity: high
#   enforcement: enforce
#   reads: [principal.team, request.api, request.fallback_models, request.model]
package headgate.rules.access.model_allowlist

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if input.request.api in _without_model

permitted if {
	_listed(input.request.model)
	every model in _fallbacks { _listed(model) }
}

permitted if {
	input.request.api
	not input.request.model
	"*" in team.list("models")
	every model in _fallbacks { _listed(model) }
}

_without_model := {"opaque", "mcp", "openai.models", "anthropic.models", "gemini.models"}

default _listed(_) := false

_listed(model) if {
	some pattern in team.list("models")

	# null: no delimiter, so that * crosses dots too (claude-* means claude-3.5-sonnet).
	glob.match(pattern, null, model)
}

# What is no list of names is one name that no list has.
default _fallbacks := []

_fallbacks := input.request.fallback_models if is_array(input.request.fallback_models)

_fallbacks := [false] if {
	input.request.fallback_models
	not is_array(input.request.fallback_models)
}

default _model := "(none that can be read)"

_model := text.printable(input.request.model) if not _listed(input.request.model)

_model := text.printable([model | some model in _fallbacks; not _listed(model)][0]) if _listed(input.request.model)

message := sprintf("team %s may not use model %s; allowed: %s", [team.name, _model, text.listed(team.list("models"))])
