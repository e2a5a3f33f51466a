package headgate.rules.content.system_prompt_test

import data.headgate.fixture
import data.headgate.rules.content.system_prompt.verdicts

strict := fixture.blue({"system_prompt_apis": ["openai.chat", "anthropic.*"]})

denied(request) if count(verdicts) == 1 with input as request with data.data as strict

test_with_a_system_prompt_it_passes if not denied(fixture.with_value("/request/has_system_text", true))

test_without_one_it_is_denied if {
	some verdict in verdicts with input as fixture.request with data.data as strict
	verdict.action == "deny"
	verdict.message == "team blue must send a system prompt with these apis: openai.chat, anthropic.*"
}

test_other_apis_need_none if not denied(fixture.with_value("/request/api", "openai.embeddings"))

test_a_star_covers_more_than_one_api if denied(fixture.with_value("/request/api", "anthropic.messages"))

test_a_team_without_the_list_needs_none if {
	count(verdicts) == 0 with input as fixture.request with data.data as fixture.settings
}

test_a_list_of_another_type_covers_every_api if {
	every list in ["openai.chat", null, 5, {}] {
		count(verdicts) == 1 with input as fixture.request with data.data as fixture.blue({"system_prompt_apis": list})
	}
}

test_a_field_of_another_type_denies if {
	every value in [null, 5, {}, [], "", "true"] { denied(fixture.with_value("/request/has_system_text", value)) }
	every value in [null, 5, {}, []] { denied(fixture.with_value("/request/api", value)) }
}

test_a_missing_field_denies if {
	every path in ["request", "request/api", "request/has_system_text"] { denied(fixture.without(path)) }
}
