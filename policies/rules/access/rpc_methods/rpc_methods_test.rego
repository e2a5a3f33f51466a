package headgate.rules.access.rpc_methods_test

import data.headgate.fixture
import data.headgate.rules.access.rpc_methods.verdicts

limited := fixture.blue({"rpc_methods": ["initialize", "tools/*"]})

denied(request) if count(verdicts) == 1 with input as request with data.data as limited

calling(methods) := json.patch(fixture.request, [
	{"op": "replace", "path": "/request/api", "value": "mcp"},
	{"op": "add", "path": "/request/rpc_methods", "value": methods},
])

test_listed_methods_pass if not denied(calling(["initialize", "tools/list", "tools/call"]))

test_one_unlisted_method_in_a_batch_is_denied if {
	some verdict in verdicts with input as calling(["tools/call", "resources/read"]) with data.data as limited
	verdict.action == "deny"
	verdict.message == "team blue may not call these MCP methods: resources/read; allowed: initialize, tools/*"
}

test_a_team_without_a_list_may_call_any if {
	count(verdicts) == 0 with input as calling(["resources/read"]) with data.data as fixture.settings
}

test_a_list_of_another_type_allows_none if {
	every list in ["tools/call", null, 5] {
		count(verdicts) == 1 with input as calling(["tools/call"]) with data.data as fixture.blue({"rpc_methods": list})
	}
}

test_other_apis_have_no_methods if {
	not denied(fixture.request)
	not denied(fixture.opaque("GET", "/v1/models"))
}

test_methods_are_judged_whatever_the_api_is_called if {
	denied(fixture.with_value("/request/rpc_methods", ["resources/read"]))
}

test_what_has_no_body_carries_no_method if {
	every method in ["GET", "DELETE"] {
		not denied(json.patch(json.remove(calling([]), ["request/rpc_methods"]), [{
			"op": "replace",
			"path": "/request/method",
			"value": method,
		}]))
	}
}

test_methods_of_another_type_are_denied if {
	every methods in fixture.strange { denied(calling(methods)) }
}

test_a_missing_field_denies if {
	every path in ["request", "request/api", "request/rpc_methods", "request/method"] {
		denied(json.remove(calling(["resources/read"]), [path]))
	}
	denied(json.remove(calling(["tools/call"]), ["request/rpc_methods"]))
}
