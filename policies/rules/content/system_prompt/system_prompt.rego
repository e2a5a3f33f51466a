# METADATA
# title: A system prompt where one is required
# description: |
#   `system_prompt_apis` of the team lists apis, exact or with *, whose calls must carry a system prompt: the one that
#   holds the house rules. A team without the list need not.
# schemas:
#   - input: schema.input
# custom:
#   id: content.system_prompt
#   severity: low
#   enforcement: enforce
#   reads: [principal.environment, principal.team, request.api, request.has_system_text]
package headgate.rules.content.system_prompt

import data.headgate.lib.names
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

default permitted := false

permitted if not team.restricts("system_prompt_apis")

permitted if {
	is_array(team.settings.system_prompt_apis)
	is_string(input.request.api)
	not names.match(team.settings.system_prompt_apis, input.request.api)
}

permitted if input.request.has_system_text == true

message := sprintf("team %s must send a system prompt with these apis: %s", [
	team.name,
	text.listed(team.list("system_prompt_apis")),
])
