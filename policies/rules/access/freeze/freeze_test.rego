package headgate.rules.access.freeze_test

import data.headgate.fixture
import data.headgate.rules.access.freeze.verdicts

frozen(kind, value) := {"freezes": [{"kind": kind, "value": value, "owner": "soc@example.com", "reason": "a test"}]}

stopped(kind, value, request) if count(verdicts) == 1 with input as request with data.data as frozen(kind, value)

user := fixture.with_value("/principal/user", "jane")

tools := fixture.with_value("/request/tools", ["search", "run_shell"])

mcp := json.patch(fixture.request, [
	{"op": "replace", "path": "/request/api", "value": "mcp"},
	{"op": "remove", "path": "/request/model"},
	{"op": "add", "path": "/request/called_tools", "value": ["run_shell"]},
])

test_a_freeze_of_each_kind_stops_what_it_names if {
	stopped("team", "blue", fixture.request)
	stopped("caller", "website-prod", fixture.request)
	stopped("user", "jane", user)
	stopped("model", "gpt-4o-mini", fixture.request)
	stopped("model", "gpt-4o*", fixture.request)
	stopped("tool", "run_*", tools)
	stopped("tool", "run_shell", mcp)
	stopped("api", "openai.chat", fixture.request)
	stopped("destination", "api.openai.com", fixture.request)
}

test_a_freeze_of_each_kind_spares_the_rest if {
	not stopped("team", "red", fixture.request)
	not stopped("caller", "website-test", fixture.request)
	not stopped("user", "john", user)
	not stopped("user", "jane", fixture.request)
	not stopped("model", "gpt-4o", fixture.request)
	not stopped("model", "gpt-4o", mcp)
	not stopped("tool", "run_shell", fixture.request)
	not stopped("tool", "run_shell", fixture.opaque("GET", "/v1/models"))
	not stopped("model", "gpt-4o", fixture.opaque("GET", "/v1/models"))
	not stopped("api", "openai.responses", fixture.request)
	not stopped("destination", "api.example.net", fixture.request)
}

test_the_caller_reads_why_and_whom_to_ask if {
	some verdict in verdicts with input as fixture.request with data.data as frozen("team", "blue")
	verdict.message == "team blue is frozen by soc@example.com: a test"
	verdict.enforced
}

test_a_model_that_may_answer_instead_is_frozen_too if {
	stopped("model", "gpt-4o", fixture.with_value("/request/fallback_models", ["o3", "gpt-4o"]))
}

test_a_name_that_is_withheld_may_be_the_frozen_one if {
	stopped("tool", "run_shell", fixture.with_value("/request/tools", ["(withheld)"]))
	stopped("tool", "run_shell", fixture.with_value("/request/tools", ["(overlong)"]))
	stopped("model", "gpt-4o", fixture.with_value("/request/fallback_models", ["(withheld)"]))
	stopped("model", "gpt-4o", fixture.without("request/model"))
}

test_nobody_is_frozen_as_part_of_a_team_that_it_does_not_belong_to if {
	unclaimed := json.patch(fixture.request, [
		{"op": "replace", "path": "/principal/attributed", "value": false},
		{"op": "remove", "path": "/principal/team"},
		{"op": "remove", "path": "/principal/caller"},
	])
	not stopped("team", "blue", unclaimed)
	not stopped("caller", "website-prod", unclaimed)
}

fields := {
	"team": ["principal", "principal/team"],
	"caller": ["principal", "principal/caller"],
	"user": ["principal"],
	"model": ["request", "request/model"],
	"tool": ["request", "request/tools"],
	"api": ["request", "request/api"],
	"destination": ["route", "route/destination"],
}

test_where_the_field_is_missing_it_may_be_the_frozen_one if {
	every kind, paths in fields {
		every path in paths { stopped(kind, "something else", json.remove(user, [path])) }
	}
}

test_a_field_of_another_type_may_be_the_frozen_one if {
	every kind, place in {
		"team": "/principal/team",
		"caller": "/principal/caller",
		"user": "/principal/user",
		"model": "/request/model",
		"tool": "/request/tools",
		"api": "/request/api",
		"destination": "/route/destination",
	} {
		every value in [null, true, 5, {"a": 1}, [[]], [5]] {
			stopped(kind, "something else", fixture.with_value(place, value))
		}
	}
}

test_what_cannot_be_understood_stops_everything if {
	every freezes in [
		"none", false, null, {"kind": "team"}, 5, [{}], ["blue"], [{"kind": "team"}], [{"kind": "planet", "value": "mars"}],
		[{"kind": "team", "value": 5}],
	] {
		some verdict in verdicts with input as fixture.request with data.data as {"freezes": freezes}
		contains(verdict.message, "policy check")
	}
}

test_where_nothing_is_frozen_nothing_is_stopped if {
	count(verdicts) == 0 with input as fixture.request with data.data as {"freezes": []}
	count(verdicts) == 0 with input as fixture.request with data.data as fixture.settings
}
