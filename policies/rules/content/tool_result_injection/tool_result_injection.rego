# METADATA
# title: Attempts to steer the model through a tool
# description: |
#   A finding of the class `injection` in the result or the description of a tool (or wherever it cannot be told): a
#   page, a mail or a server that talks to the model behind the caller's back. Nobody types those, so it weighs more
#   than one in a prompt.
# schemas:
#   - input: schema.input
# custom:
#   id: content.tool_result_injection
#   severity: critical
#   enforcement: shadow
#   reads: [findings, findings_truncated]
package headgate.rules.content.tool_result_injection

import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if {
	input.findings_truncated == false
	is_array(input.findings)
	every finding in input.findings { _harmless(finding) }
}

_harmless(finding) if {
	is_string(finding.data_class)
	finding.data_class != "injection"
}

# It is known where it stands, and that is not in what a tool said.
_harmless(finding) if {
	count(finding.places) > 0
	every place in finding.places { place in {"user", "system", "assistant"} }
}

_found := sort({text.printable(finding.entity) | some finding in input.findings; not _harmless(finding)})

message := sprintf(
	"what a tool said looks like an attempt to steer the model (%s): look at what it read before going on",
	[text.listed(_found)],
)
