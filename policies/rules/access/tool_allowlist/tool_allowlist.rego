# METADATA
# title: Tools a team may offer and call
# description: |
#   Where the team has a list `tools`, every tool that the request offers to the model must be on it, and every tool
#   that the request calls itself (MCP). Names of which the gateway only says that they are withheld are on no list but
#   `*`. A team without a list may use any. A call that is not read (opaque) has no tools to judge.
# schemas:
#   - input: schema.input
# custom:
#   id: access.tool_allowlist
#   severity: high
#   enforcement: enforce
#   reads:
#     - principal.environment
#     - principal.team
#     - request.api
#     - request.called_tools
#     - request.rpc_methods
#     - request.tools
package headgate.rules.access.tool_allowlist

import data.headgate.lib.names
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if not team.restricts("tools")

permitted if input.request.api == "opaque"

permitted if {
	is_string(input.request.api)
	every tool in names.tools { names.match(team.list("tools"), tool) }
}

_refused := sort({text.printable(tool) | some tool in names.tools; not names.match(team.list("tools"), tool)})

message := sprintf("team %s may not use the tools %s; allowed: %s", [
	team.name,
	text.listed(_refused),
	text.listed(team.list("tools")),
])
