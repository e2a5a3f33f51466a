package headgate.rules.access.tool_allowlist_test

import data.headgate.fixture
import data.headgate.rules.access.tool_allowlist.verdicts

limited := fixture.blue({"tools": ["search", "get_*"]})

denied(request) if count(verdicts) == 1 with input as request with data.data as limited

offering(tools) := fixture.with_value("/request/tools", tools)

calling(tools) := json.patch(fixture.request, [
	{"op": "replace", "path": "/request/api", "value": "mcp"},
	{"op": "add", "path": "/request/rpc_methods", "value": ["tools/call"]},
	{"op": "add", "path": "/request/called_tools", "value": tools},
])

test_listed_tools_may_be_offered_and_called if {
	not denied(offering([]))
	not denied(offering(["search", "get_weather"]))
	not denied(calling(["get_weather"]))
}

test_one_unlisted_tool_among_listed_ones_is_denied if {
	some verdict in verdicts with input as offering(["search", "run_shell"]) with data.data as limited
	verdict.action == "deny"
	verdict.enforced
	verdict.message == "team blue may not use the tools run_shell; allowed: search, get_*"
}

test_a_call_of_an_unlisted_tool_is_denied if {
	denied(calling(["search", "run_shell"]))
}

test_a_tool_whose_name_is_withheld_is_on_no_list_but_the_star if {
	denied(offering(["(withheld)"]))
	count(verdicts) == 0 with input as offering(["(withheld)"]) with data.data as fixture.blue({"tools": ["*"]})
}

test_a_team_without_a_list_may_use_any if {
	count(verdicts) == 0 with input as offering(["run_shell"]) with data.data as fixture.settings
}

test_an_empty_list_allows_none if {
	count(verdicts) == 1 with input as offering(["search"]) with data.data as fixture.blue({"tools": []})
}

test_a_list_of_another_type_allows_none if {
	every list in ["search", null, 5, {"search": true}] {
		count(verdicts) == 1 with input as offering(["search"]) with data.data as fixture.blue({"tools": list})
	}
}

test_an_opaque_call_has_no_tools_to_judge if not denied(fixture.opaque("GET", "/v1/models"))

test_tools_of_another_type_are_denied if {
	every tools in fixture.strange {
		denied(offering(tools))
		denied(calling(tools))
	}
}

test_a_call_of_tools_that_names_none_is_denied if {
	denied(json.remove(calling(["search"]), ["request/called_tools"]))
}

test_a_missing_field_denies if {
	every path in ["request", "request/api", "request/tools"] {
		denied(fixture.without(path))
	}
}

test_where_the_environment_matters_and_is_not_known_none_may_be_used if {
	here := fixture.blue({"environments": {"staging": {"models": []}}})
	count(verdicts) == 1 with input as json.remove(offering(["search"]), ["principal/environment"]) with data.data as here
	count(verdicts) == 0 with input as offering(["search"]) with data.data as here
}
