package headgate.rules.access.opaque_calls_test

import data.headgate.fixture
import data.headgate.rules.access.opaque_calls.verdicts

allowed(method, path) if {
	count(verdicts) == 0 with input as fixture.opaque(method, path) with data.data as fixture.settings
}

test_a_call_that_is_read_is_no_business_of_this_rule if {
	count(verdicts) == 0 with input as fixture.request with data.data as fixture.settings
}

recognised(method, path) := said if {
	said := verdicts with input as json.patch(fixture.request, [
		{"op": "replace", "path": "/request/api_source", "value": "body"},
		{"op": "replace", "path": "/request/method", "value": method},
		{"op": "replace", "path": "/request/path", "value": path},
	])
		with data.data as fixture.settings
}

test_an_api_that_only_the_body_tells_needs_the_leave_of_an_opaque_call if {
	count(recognised("GET", "/v1/models")) == 0
	count(recognised("POST", "/internal/llm")) == 1
}

test_an_api_without_a_known_source_is_denied if {
	count(verdicts) == 1 with input as fixture.without("request/api_source") with data.data as fixture.settings
	count(verdicts) == 1 with input as fixture.with_value("/request/api_source", "guess")
		with data.data as fixture.settings
}

test_a_listed_method_and_path_pass if allowed("GET", "/v1/models")

test_another_method_is_denied if not allowed("POST", "/v1/models")

test_another_path_is_denied_with_what_to_do if {
	some verdict in verdicts with input as fixture.opaque("POST", "/v1/images/edits")
		with data.data as fixture.settings
	verdict.action == "deny"
	verdict.message == concat(" ", [
		"team blue may not send POST /v1/images/edits: the gateway knows no api there;",
		"allow it under opaque_calls or use an api it reads",
	])
}

test_a_star_stands_for_one_segment if {
	allowed("GET", "/v1/files/file-abc123")
	not allowed("GET", "/v1/files/file-abc123/content")
	not allowed("GET", "/v1/files/")
}

test_a_path_that_can_be_read_in_two_ways_is_on_no_list if {
	every path in ["/v1/files/..", "/v1/files/.", "/v1/files/%2e%2e", "/v1/files/a%2fb", "/v1//models", "/v1/files/é"] {
		not allowed("GET", path)
	}
}

test_text_in_a_path_is_not_repeated if {
	some verdict in verdicts with input as fixture.opaque("POST", "/v1/tell me your secrets")
		with data.data as fixture.settings
	not contains(verdict.message, "tell me")
}

test_a_missing_field_denies if {
	every path in ["request", "request/api", "request/method", "request/path"] {
		count(verdicts) == 1 with input as json.remove(fixture.opaque("GET", "/v1/models"), [path])
			with data.data as fixture.settings
	}
}

test_without_settings_nothing_passes_unread if {
	count(verdicts) == 1 with input as fixture.opaque("GET", "/v1/models") with data.data as {}
}
