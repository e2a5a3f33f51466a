package headgate.rules.content.prompt_injection_test

import data.headgate.fixture
import data.headgate.rules.content.prompt_injection.verdicts

found(places) := fixture.with_value("/findings", [{
	"entity": "PROMPT_INJECTION",
	"data_class": "injection",
	"count": 1,
	"places": places,
}])

fires(request) if count(verdicts) == 1 with input as request with data.data as fixture.settings

test_nothing_found_is_nothing_said if not fires(fixture.request)

test_other_classes_have_rules_of_their_own if {
	not fires(fixture.with_value("/findings", [fixture.finding("AWS_ACCESS_KEY", "secret")]))
}

test_it_fires_in_shadow if {
	some verdict in verdicts with input as found(["user"]) with data.data as fixture.settings
	verdict.action == "deny"
	verdict.enforced == false
	contains(verdict.message, "(PROMPT_INJECTION)")
}

test_it_can_be_made_to_bind if {
	some verdict in verdicts with input as found(["user"])
		with data.data as fixture.blue({"enforcement": {"content.prompt_injection": "enforce"}})
	verdict.enforced == true
}

test_every_place_that_is_meant_or_unknown_counts if {
	every place in ["user", "system", "other"] { fires(found([place])) }
	fires(found(["tool_result", "user"]))
	fires(found(["a place of a later version"]))
}

test_other_places_do_not if {
	every place in ["assistant", "tool_result", "tool_definition"] { not fires(found([place])) }
}

test_a_finding_without_a_place_counts if {
	fires(found([]))
	fires(json.remove(found(["tool_result"]), ["findings/0/places"]))
	every places in ["tool_result", null, 5, {}] { fires(found(places)) }
}

test_a_finding_without_a_class_counts if {
	fires(json.remove(found(["user"]), ["findings/0/data_class"]))
	every class in [null, 5, {}, []] {
		fires(json.patch(found(["user"]), [{"op": "replace", "path": "/findings/0/data_class", "value": class}]))
	}
}

test_a_missing_field_fires if {
	every path in ["findings", "findings_truncated"] { fires(fixture.without(path)) }
	every value in ["none", null, 5, {"a": 1}, [null]] { fires(fixture.with_value("/findings", value)) }
	every value in [null, 5, {}, true, "false"] { fires(fixture.with_value("/findings_truncated", value)) }
}
