package headgate.rules.limits.parameters_test

import data.headgate.fixture
import data.headgate.rules.limits.parameters.verdicts

limits := {"temperature": 1, "choices": 2, "image_count": 3}

limited := fixture.blue({"parameter_limits": limits})

denied(request) if count(verdicts) == 1 with input as request with data.data as limited

asking(name, value) := fixture.with_value(concat("", ["/request/", name]), value)

test_what_is_within_the_limits_passes if {
	every name, bound in limits {
		not denied(asking(name, bound))
	}
}

test_one_more_than_each_limit_is_denied if {
	every name, bound in limits {
		denied(asking(name, bound + 1))
	}
}

test_the_message_names_what_to_lower if {
	some verdict in verdicts with input as asking("choices", 5) with data.data as limited
	verdict.action == "deny"
	verdict.message == concat(" ", [
		"team blue must stay within its parameter limits",
		"(choices at most 2, image_count at most 3, temperature at most 1): lower choices",
	])
}

test_what_is_not_limited_is_not_bounded if {
	count(verdicts) == 0 with input as asking("temperature", 100) with data.data as fixture.settings
	count(verdicts) == 0 with input as asking("temperature", 100)
		with data.data as fixture.blue({"parameter_limits": {"choices": 1}})
}

test_what_is_left_to_the_provider_is_not_asked_for if {
	not denied(fixture.without("request/temperature"))
	not denied(fixture.without("request/image_count"))
}

test_a_value_of_another_type_is_denied if {
	every name, _ in limits {
		every value in ["1", true, [1], {}] { denied(asking(name, value)) }
	}
}

test_a_limit_of_another_type_denies if {
	every name, _ in limits {
		every bound in ["1", null, [1], {}] {
			count(verdicts) == 1 with input as fixture.request
				with data.data as fixture.blue({"parameter_limits": {name: bound}})
		}
	}
	every whole in ["1", null, [1], 5] {
		count(verdicts) == 1 with input as fixture.request with data.data as fixture.blue({"parameter_limits": whole})
	}
}

test_a_limit_that_nobody_knows_denies if {
	count(verdicts) == 1 with input as fixture.request
		with data.data as fixture.blue({"parameter_limits": {"temprature": 1}})
}

test_an_opaque_call_has_none if not denied(fixture.opaque("GET", "/v1/models"))

test_a_missing_field_denies if {
	every path in ["request", "request/api", "request/choices"] {
		denied(json.remove(fixture.request, [path, "request/temperature"]))
	}
}
