package headgate.rules.access.model_allowlist_test

import data.headgate.fixture
import data.headgate.rules.access.model_allowlist.verdicts

allowed(model) if {
	count(verdicts) == 0 with input as fixture.with_value("/request/model", model)
		with data.data as fixture.settings
}

test_a_listed_model_passes if allowed("gpt-4o-mini")

test_a_star_stands_for_any_rest_dots_included if {
	allowed("claude-sonnet-4-5")
	allowed("claude-3.5-sonnet")
}

test_a_listed_name_is_no_prefix if not allowed("gpt-4o-mini-2024-07-18")

test_names_are_compared_as_they_are if not allowed("GPT-4o-mini")

test_an_unlisted_model_is_denied_with_what_is_allowed if {
	found := verdicts with input as fixture.with_value("/request/model", "gpt-5")
		with data.data as fixture.settings
	found == {{
		"rule": "access.model_allowlist",
		"message": "team blue may not use model gpt-5; allowed: gpt-4o-mini, claude-*",
		"action": "deny",
		"enforced": true,
		"entities": [],
	}}
}

test_text_in_the_place_of_a_model_is_not_repeated if {
	some verdict in verdicts with input as fixture.with_value("/request/model", "my secret\nis this")
		with data.data as fixture.settings
	verdict.message == "team blue may not use model (unprintable); allowed: gpt-4o-mini, claude-*"
}

test_a_team_without_a_list_may_use_nothing if {
	some verdict in verdicts with input as fixture.with_value("/principal/team", "green")
		with data.data as fixture.settings
	verdict.message == "team green may not use model gpt-4o-mini; allowed: none"
}

test_a_list_of_another_type_allows_nothing if {
	every models in ["*", {"gpt-4o-mini": true}, null, [5, null]] {
		count(verdicts) == 1 with input as fixture.request
			with data.data.default as {}
			with data.data.teams.blue as {"models": models}
	}
}

test_a_call_that_is_not_read_has_no_model_to_judge if {
	count(verdicts) == 0 with input as fixture.opaque("GET", "/v1/models") with data.data as fixture.settings
}

test_an_api_that_runs_no_model_has_none_to_judge if {
	every api in ["mcp", "openai.models", "anthropic.models", "gemini.models"] {
		count(verdicts) == 0 with input as json.patch(fixture.request, [
			{"op": "replace", "path": "/request/api", "value": api},
			{"op": "remove", "path": "/request/model"},
		])
			with data.data as fixture.settings
	}
}

test_an_api_that_runs_a_model_has_to_name_it if {
	every api in ["openai.moderations", "openai.images", "gemini.count_tokens"] {
		count(verdicts) == 1 with input as json.patch(fixture.request, [
			{"op": "replace", "path": "/request/api", "value": api},
			{"op": "remove", "path": "/request/model"},
		])
			with data.data as fixture.settings
	}
}

test_a_missing_field_denies if {
	every path in ["request", "request/model", "request/api", "principal", "principal/team"] {
		count(verdicts) == 1 with input as json.remove(
			fixture.with_value("/request/model", "gpt-5"),
			[path],
		)
			with data.data as fixture.settings
	}
}

fallbacks(models) := said if {
	said := verdicts with input as json.patch(
		fixture.request,
		[{"op": "add", "path": "/request/fallback_models", "value": models}],
	)
		with data.data as fixture.settings
}

test_listed_fallbacks_pass if count(fallbacks(["claude-3.5-sonnet", "gpt-4o-mini"])) == 0

test_one_unlisted_fallback_is_denied_by_its_name if {
	some verdict in fallbacks(["claude-3.5-sonnet", "gpt-5"])
	verdict.message == "team blue may not use model gpt-5; allowed: gpt-4o-mini, claude-*"
}

test_fallbacks_of_another_type_are_denied if {
	every models in ["gpt-4o-mini", {"a": "gpt-4o-mini"}, [null], [5], 5] {
		count(fallbacks(models)) == 1
	}
}

without_model(fallbacks) := json.patch(json.remove(fixture.request, ["request/model"]), fallbacks)

test_a_call_without_a_model_passes_where_any_may_be_used if {
	count(verdicts) == 0 with input as without_model([])
		with data.data as {"teams": {"blue": {"models": ["gpt-4o", "*"]}}}
}

test_a_call_of_no_api_without_a_model_is_denied if {
	count(verdicts) == 1 with input as json.remove(without_model([]), ["request/api"])
		with data.data as {"teams": {"blue": {"models": ["*"]}}}
}

test_a_call_without_a_model_is_denied_where_only_some_may_be_used if {
	count(verdicts) == 1 with input as without_model([]) with data.data as fixture.settings
}

test_fallbacks_without_a_model_that_are_no_list_of_names_are_denied if {
	count(verdicts) == 1 with input as without_model([{"op": "add", "path": "/request/fallback_models", "value": "x"}])
		with data.data as {"teams": {"blue": {"models": ["*"]}}}
}
