# METADATA
# title: How a rule says what it found
# description: |
#   The one constructor of verdicts. The rule's id and whether it binds come from its package's annotations (custom:
#   id, enforcement), passed in as rego.metadata.chain(). `enforcement` in the settings overrides the annotation, by
#   rule id. Whatever is not plainly `shadow` binds.
package headgate.lib.verdict

import data.headgate.lib.team

# METADATA
# description: The request must not pass.
deny(chain, message) := _verdict(chain, message, "deny", [])

# METADATA
# description: The request may pass once these entities are replaced.
redact(chain, message, entities) := _verdict(chain, message, "redact", entities)

_verdict(chain, message, action, entities) := {
	"rule": id,
	"message": message,
	"action": action,
	"enforced": _enforced(id, _custom(chain, "enforcement", "enforce")),
	"entities": entities,
} if {
	id := _custom(chain, "id", "(rule without an id)")
}

_custom(chain, key, otherwise) := [value |
	some link in array.concat(chain, [{"annotations": {"custom": {key: otherwise}}}])
	value := link.annotations.custom[key]
][0]

_enforced(id, annotated) := object.get(team.map("enforcement"), id, annotated) != "shadow"
