# METADATA
# title: What may be done with personal data and secrets
# description: |
#   The team's `data_classes` say for each class of finding whether it passes, is replaced before it leaves, or stops
#   the request: everywhere, or for each destination. A class that is not named, and any other word, stops the request.
#   Attempts to steer the model (the class `injection`) are nobody's data: they have rules of their own.
# schemas:
#   - input: schema.input
# custom:
#   id: content.data_classes
#   severity: critical
#   enforcement: enforce
#   reads: [principal.environment, principal.team, route.destination, findings, findings_truncated]
package headgate.rules.content.data_classes

import data.headgate.lib.handling
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

# A finding without an entity or a class is still a finding.
_found contains {"entity": entity, "data_class": data_class} if {
	some finding in input.findings
	entity := object.get(finding, "entity", "unknown")
	data_class := object.get(finding, "data_class", "unknown")
	data_class != "injection"
}

default _there(_) := ""

_there(data_class) := concat("", [" to ", text.printable(input.route.destination)]) if handling.depends(data_class)

_entities(data_class) := sort({found.entity | some found in _found; found.data_class == data_class})

verdicts contains verdict.deny(rego.metadata.chain(), message) if {
	some data_class in {found.data_class | some found in _found}
	handling.of(data_class) == "deny"
	message := sprintf("the request holds %s (%s), which team %s must not send%s: take it out and try again", [
		text.listed(_entities(data_class)),
		data_class,
		team.name,
		_there(data_class),
	])
}

verdicts contains verdict.redact(rego.metadata.chain(), message, entities) if {
	some data_class in {found.data_class | some found in _found}
	handling.of(data_class) == "redact"
	entities := _entities(data_class)
	message := sprintf("%s (%s) is replaced before the request leaves, as team %s has to", [
		text.listed(entities),
		data_class,
		team.name,
	])
}

verdicts contains verdict.deny(rego.metadata.chain(), message) if {
	not _searched
	message := "the request was not searched for personal data and secrets: nothing passes unsearched"
}

default _searched := false

_searched if {
	is_array(input.findings)
	every finding in input.findings { is_object(finding) }
}

# Past the limit findings are not listed, so their classes are unknown.
verdicts contains verdict.deny(rego.metadata.chain(), message) if {
	not _all_listed
	message := "the request holds more personal data or secrets than can be judged: split it and try again"
}

default _all_listed := false

_all_listed if input.findings_truncated == false
