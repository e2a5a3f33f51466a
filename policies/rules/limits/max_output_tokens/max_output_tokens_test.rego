package headgate.rules.limits.max_output_tokens_test

import data.headgate.fixture
import data.headgate.rules.limits.max_output_tokens.verdicts

fires(request) if count(verdicts) == 1 with input as request with data.data as fixture.settings

test_a_bounded_request_passes if not fires(fixture.with_value("/request/max_output_tokens", 1000))

test_one_token_over_the_limit_fires if fires(fixture.with_value("/request/max_output_tokens", 1001))

test_it_fires_in_shadow if {
	some verdict in verdicts with input as fixture.without("request/max_output_tokens")
		with data.data as fixture.settings
	verdict.enforced == false
	verdict.message == "team blue must bound its output: ask for at most the limit of tokens (1000)"
}

test_settings_make_it_bind if {
	some verdict in verdicts with input as fixture.without("request/max_output_tokens")
		with data.data as fixture.settings
		with data.data.teams.blue.enforcement as {"limits.max_output_tokens": "enforce"}
	verdict.enforced == true
}

test_where_output_is_unlimited_no_number_is_needed if {
	count(verdicts) == 0 with input as fixture.without("request/max_output_tokens")
		with data.data as fixture.settings
		with data.data.teams.blue as {"max_output_tokens": "unlimited"}
}

test_a_limit_of_another_type_fires if {
	every limit in ["1000", null, [1000], {}] {
		count(verdicts) == 1 with input as fixture.request
			with data.data as {"teams": {"blue": {"max_output_tokens": limit}}}
	}
}

test_a_call_that_is_not_read_has_nothing_to_bound if not fires(fixture.opaque("GET", "/v1/models"))

test_a_missing_field_fires if {
	every path in ["request", "request/max_output_tokens"] {
		fires(fixture.without(path))
	}
}

test_without_settings_it_fires if count(verdicts) == 1 with input as fixture.request with data.data as {}
