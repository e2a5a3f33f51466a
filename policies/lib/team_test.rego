package headgate.lib.team_test

import data.headgate.fixture
import data.headgate.lib.team

layers := {
	"default": {"models": ["a"], "apis": ["x"], "environments": {"staging": {"models": ["b"]}}},
	"teams": {"blue": {"apis": ["y"], "environments": {"staging": {"apis": ["z"]}, "lab": {"models": ["*"]}}}},
}

here(environment, key) := list if {
	list := team.list(key) with input as fixture.with_value("/principal/environment", environment)
		with data.data as layers
}

test_each_layer_lies_over_the_one_before if {
	here("production", "models") == ["a"]
	here("production", "apis") == ["y"]
	here("staging", "models") == ["b"]
	here("staging", "apis") == ["z"]
	here("lab", "models") == ["*"]
	here("lab", "apis") == ["y"]
}

test_a_team_without_an_entry_has_the_default_of_its_environment if {
	list := team.list("models") with input as json.patch(fixture.request, [
		{"op": "replace", "path": "/principal/team", "value": "red"},
		{"op": "replace", "path": "/principal/environment", "value": "staging"},
	])
		with data.data as layers
	list == ["b"]
}

test_where_the_environment_is_not_known_nothing_is_allowed if {
	list := team.list("models") with input as fixture.without("principal/environment") with data.data as layers
	list == []
	every environment in [null, 5, true, {}, []] { here(environment, "models") == [] }
}

test_where_no_entry_speaks_of_environments_it_need_not_be_known if {
	list := team.list("models") with input as fixture.without("principal/environment") with data.data as fixture.settings
	list == ["gpt-4o-mini", "claude-*"]
}

test_environments_that_cannot_be_understood_allow_nothing if {
	every environments in ["staging", null, false, 5, ["staging"]] {
		list := team.list("models") with input as fixture.request
			with data.data as fixture.blue({"environments": environments})
		list == []
	}
}

test_an_entry_for_an_environment_that_is_no_object_changes_nothing if {
	list := team.list("models") with input as fixture.request
		with data.data as fixture.blue({"environments": {"production": "all"}})
	list == ["gpt-4o-mini", "claude-*"]
}

test_messages_name_the_environment_where_it_makes_a_difference if {
	said("staging") == "blue (staging)"
	said("production") == "blue"
}

said(environment) := name if {
	name := team.name with input as fixture.with_value("/principal/environment", environment) with data.data as layers
}

test_models_and_apis_are_judged_by_environment if {
	limits := fixture.blue({"environments": {"production": {"models": ["claude-*"], "apis": ["anthropic.messages"]}}})
	production := data.headgate.main.decision with input as fixture.request with data.data as limits
	{reason.rule | some reason in production.reasons} == {"access.api_allowlist", "access.model_allowlist"}
	staging := data.headgate.main.decision with input as fixture.with_value("/principal/environment", "staging")
		with data.data as limits
	staging.action == "allow"
}
