package headgate.rules.access.destination_allowlist_test

import data.headgate.fixture
import data.headgate.rules.access.destination_allowlist.verdicts

denied(host) if {
	count(verdicts) == 1 with input as fixture.with_value("/route/destination", host)
		with data.data as fixture.settings
}

test_a_listed_host_passes if not denied("api.openai.com")

test_another_host_is_denied if {
	some verdict in verdicts with input as fixture.with_value("/route/destination", "api.example.net")
		with data.data as fixture.settings
	verdict.action == "deny"
	verdict.message == "team blue may not send to api.example.net; allowed: api.openai.com"
}

test_a_host_that_only_contains_a_listed_one_is_denied if {
	denied("api.openai.com.example.net")
	denied("evil-api.openai.com")
}

test_a_missing_field_denies if {
	every path in ["route", "route/destination"] {
		count(verdicts) == 1 with input as fixture.without(path) with data.data as fixture.settings
	}
}
