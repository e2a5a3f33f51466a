# METADATA
# title: What is stopped at once
# description: |
#   An entry of `freezes` stops a team, caller, user, model, tool, api or destination for everybody, whatever else is
#   allowed. A model or tool whose name cannot be read may be the frozen one, so it is stopped, too. An entry that
#   cannot be understood stops everything: better that it is noticed. Exceptions do not lift a freeze, nor does shadow.
# schemas:
#   - input: schema.input
# custom:
#   id: access.freeze
#   severity: critical
#   enforcement: enforce
#   reads:
#     - principal.attributed
#     - principal.caller
#     - principal.team
#     - principal.user
#     - request.api
#     - request.called_tools
#     - request.fallback_models
#     - request.model
#     - request.rpc_methods
#     - request.tools
#     - route.destination
package headgate.rules.access.freeze

import data.data as config
import data.headgate.lib.names
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if not "freezes" in object.keys(config)

permitted if {
	is_array(config.freezes)
	every freeze in config.freezes { _spares(freeze.kind, freeze.value) }
}

# Kind by kind: this request is surely not meant.
default _spares(_, _) := false

_spares("team", value) if _is_another(value, input.principal.team)

_spares("team", _) if input.principal.attributed == false

_spares("caller", value) if _is_another(value, input.principal.caller)

_spares("caller", _) if input.principal.attributed == false

_spares("user", value) if _is_another(value, input.principal.user)

_spares("user", _) if not "user" in object.keys(input.principal)

_spares("model", value) if {
	count(names.models) > 0
	every model in names.models { _is_another(value, model) }
}

_spares("model", _) if {
	count(names.models) == 0
	input.request.api in {"opaque", "mcp", "openai.models", "anthropic.models", "gemini.models"}
}

_spares("tool", value) if {
	every tool in names.tools { _is_another(value, tool) }
}

_spares("tool", _) if input.request.api == "opaque"

_spares("api", value) if _is_another(value, input.request.api)

_spares("destination", value) if _is_another(value, input.route.destination)

default _is_another(_, _) := false

_is_another(value, name) if {
	is_string(value)
	is_string(name)
	not name in names.withheld
	not glob.match(value, null, name)
}

_meant := [freeze | some freeze in config.freezes; not _spares(freeze.kind, freeze.value)]

default message := "a freeze in the policy's data cannot be understood: `headgate policy check` says why"

message := sprintf("%s %s is frozen by %s: %s", [kind, value, owner, reason]) if {
	{"kind": kind, "value": value, "owner": owner, "reason": reason} := _meant[0]
}
