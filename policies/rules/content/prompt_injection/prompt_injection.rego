# METADATA
# title: Attempts to steer the model in a prompt
# description: |
#   A finding of the class `injection` in what the caller itself says (or wherever it cannot be told). People also
#   write about such attempts, so the rule begins in shadow.
# schemas:
#   - input: schema.input
# custom:
#   id: content.prompt_injection
#   severity: medium
#   enforcement: shadow
#   reads: [findings, findings_truncated]
package headgate.rules.content.prompt_injection

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

# It is known where it stands, and that is not in the prompt.
_harmless(finding) if {
	count(finding.places) > 0
	every place in finding.places { place in {"assistant", "tool_result", "tool_definition"} }
}

_found := sort({text.printable(finding.entity) | some finding in input.findings; not _harmless(finding)})

message := sprintf(
	"the prompt holds what looks like an attempt to steer the model (%s): rephrase it, or ask the security team",
	[text.listed(_found)],
)
