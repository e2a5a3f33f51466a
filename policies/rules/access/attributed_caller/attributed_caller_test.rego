package headgate.rules.access.attributed_caller_test

import data.headgate.fixture
import data.headgate.rules.access.attributed_caller.verdicts

test_a_claimed_caller_passes if count(verdicts) == 0 with input as fixture.request

test_an_unclaimed_caller_is_denied if {
	some verdict in verdicts with input as json.patch(fixture.request, [
		{"op": "replace", "path": "/principal/attributed", "value": false},
		{"op": "remove", "path": "/principal/team"},
	])
	verdict.rule == "access.attributed_caller"
	verdict.action == "deny"
	verdict.enforced == true
}

test_an_empty_team_is_no_team if count(verdicts) == 1 with input as fixture.with_value("/principal/team", "")

test_a_missing_field_denies if {
	every path in ["principal", "principal/attributed", "principal/team"] {
		count(verdicts) == 1 with input as fixture.without(path)
	}
}
