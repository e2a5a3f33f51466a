package headgate.rules.access.api_allowlist_test

import data.headgate.fixture
import data.headgate.rules.access.api_allowlist.verdicts

test_a_listed_api_passes if {
	count(verdicts) == 0 with input as fixture.request with data.data as fixture.settings
}

test_an_unlisted_api_is_denied if {
	some verdict in verdicts with input as fixture.with_value("/request/api", "gemini.generate_content")
		with data.data as fixture.settings
	verdict.action == "deny"
	verdict.message == "team blue may not use the api gemini.generate_content; allowed: openai.chat, opaque"
}

test_a_missing_field_denies if {
	every path in ["request", "request/api"] {
		count(verdicts) == 1 with input as fixture.without(path) with data.data as fixture.settings
	}
}

test_without_settings_nothing_is_allowed if {
	count(verdicts) == 1 with input as fixture.request with data.data as {}
}
