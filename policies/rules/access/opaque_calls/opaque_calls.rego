# METADATA
# title: Calls that may pass unread
# description: |
#   What no codec reads, no other rule can judge: such a call passes only if the team's list has its method and path. A
#   call whose api only its body tells needs the same leave, since a body can be dressed up. A path that a provider
#   could read in another way (dot segments, escapes, empty segments) is on no list.
# schemas:
#   - input: schema.input
# custom:
#   id: access.opaque_calls
#   severity: critical
#   enforcement: enforce
#   reads: [principal.environment, principal.team, request.api, request.api_source, request.method, request.path]
package headgate.rules.access.opaque_calls

import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if {
	input.request.api != ""
	input.request.api != "opaque"
	input.request.api_source == "path"
}

permitted if {
	_unread
	some call in team.list("opaque_calls")
	call.method == input.request.method
	_plain_path(input.request.path)
	glob.match(call.path, ["/"], input.request.path)
}

_unread if input.request.api == "opaque"

_unread if input.request.api_source == "body"

_plain_path(path) if {
	regex.match(`^(/[A-Za-z0-9._:@+~-]+)+$`, path)
	count([segment | some segment in split(path, "/"); segment in {".", ".."}]) == 0
}

default _method := "a call"

_method := text.printable(input.request.method)

default _path := "without a path"

_path := trim_suffix(concat("", ["/", text.printable(trim_prefix(input.request.path, "/"))]), "/")

message := sprintf(
	"team %s may not send %s %s: the gateway knows no api there; allow it under opaque_calls or use an api it reads",
	[team.name, _method, _path],
)
