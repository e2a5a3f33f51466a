# METADATA
# title: The decision
# description: |
#   Asks every rule under rules/, with no registration, and joins their verdicts: deny over redact over allow, among
#   the rules that bind; rules in shadow only leave their reason. Always defined: an input of an unknown contract and a
#   bundle without rules are denied.
# scope: package
# authors:
#   - Headgate
package headgate.main

import data.headgate.lib.exceptions
import data.headgate.lib.handling
import data.headgate.lib.obligations

# METADATA
# description: What extproc asks for (docs/decisions/001-contracts-of-the-spine.md).
# entrypoint: true
# schemas:
#   - input: schema.input
decision := {
	"action": _action,
	"status": 403,
	"reasons": _reasons,
	"redact": _redact,
	"mask": _mask,
	"obligations": {"capture": obligations.capture, "retention_class": obligations.retention_class},
}

_rules := {[category, rule] | some category, rule; data.headgate.rules[category][rule].verdicts}

_verdicts := _rule_verdicts | _contract_verdicts

_rule_verdicts contains exceptions.applied(verdict) if {
	some category, rule
	some verdict in data.headgate.rules[category][rule].verdicts
}

_contract_verdicts contains _refusal("the policy bundle holds no rules: nothing can be allowed") if count(_rules) == 0

_contract_verdicts contains _refusal("the policy bundle and the gateway are of different versions") if {
	not _known_contract
}

default _known_contract := false

_known_contract if {
	input.schema_version == 1
	input.phase == "request"
}

_refusal(message) := {
	"rule": "main.contract",
	"message": message,
	"action": "deny",
	"enforced": true,
	"entities": [],
}

_binding contains verdict if {
	some verdict in _verdicts
	verdict.enforced
}

_actions := {verdict.action | some verdict in _binding}

default _action := "deny"

_action := "allow" if count(_actions) == 0

_action := "redact" if _actions == {"redact"}

_reasons := [object.remove(verdict, ["entities"]) | some verdict in _verdicts]

_redact := sort({entity | some verdict in _binding; some entity in verdict.entities})

# Kept out of the archive: all that was found of a class that the team may not use freely, and secrets always. An
# attempt to steer the model is nobody's data, and whoever looks into it needs to read it.
_mask := sort({finding.entity | some finding in input.findings; _masked(finding)})

_masked(finding) if finding.data_class == "secret"

_masked(finding) if not _free(finding)

_free(finding) if handling.of(finding.data_class) == "allow"

_free(finding) if finding.data_class == "injection"
