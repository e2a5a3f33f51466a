# METADATA
# title: MCP methods a team may call
# description: |
#   Where the team has a list `rpc_methods`, every JSON-RPC method of a request to an MCP server must be on it
#   (`tools/*`, `initialize`). A team without a list may call any. GET and DELETE carry no method.
# schemas:
#   - input: schema.input
# custom:
#   id: access.rpc_methods
#   severity: medium
#   enforcement: enforce
#   reads: [principal.environment, principal.team, request.api, request.method, request.rpc_methods]
package headgate.rules.access.rpc_methods

import data.headgate.lib.names
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if not team.restricts("rpc_methods")

permitted if {
	input.request.api != "mcp"
	not _has_methods
}

permitted if {
	is_array(input.request.rpc_methods)
	every method in input.request.rpc_methods { names.match(team.list("rpc_methods"), method) }
}

permitted if {
	input.request.api == "mcp"
	input.request.method in {"GET", "DELETE"}
	not _has_methods
}

_has_methods if type_name(input.request.rpc_methods) != ""

default _methods := []

_methods := input.request.rpc_methods if is_array(input.request.rpc_methods)

_refused := sort({text.printable(name) | some name in _methods; not names.match(team.list("rpc_methods"), name)})

message := sprintf("team %s may not call these MCP methods: %s; allowed: %s", [
	team.name,
	text.listed(_refused),
	text.listed(team.list("rpc_methods")),
])
