package headgate.lib.exceptions_test

import data.headgate.fixture
import data.headgate.main.decision

forbidden := fixture.with_value("/request/model", "gpt-5")

leave := {
	"rule": "access.model_allowlist",
	"owner": "ada@example.com",
	"reason": "a trial",
	"expires": "2026-11-21",
}

judged(request, exceptions) := answer if {
	answer := decision with input as request
		with data.data as object.union(fixture.settings, {"exceptions": exceptions})
}

passes(request, exception) if judged(request, [exception]).action == "allow"

test_without_an_exception_the_rule_binds if judged(forbidden, []).action == "deny"

test_an_exception_puts_the_rule_in_shadow_and_says_by_whose_leave if {
	answer := judged(forbidden, [leave])
	answer.action == "allow"
	answer.reasons == [{
		"rule": "access.model_allowlist",
		"action": "deny",
		"enforced": false,
		"message": concat(" ", [
			"exception of ada@example.com until 2026-11-21 (a trial):",
			"team blue may not use model gpt-5; allowed: gpt-4o-mini, claude-*",
		]),
	}]
}

test_it_holds_on_its_last_day_and_never_after_it if {
	passes(forbidden, leave)
	not passes(json.patch(forbidden, [{"op": "replace", "path": "/date", "value": "2026-11-22"}]), leave)
	not passes(forbidden, object.union(leave, {"expires": "2026-11-20"}))
	passes(forbidden, object.union(leave, {"expires": "2027-01-01"}))
}

test_without_a_day_nothing_that_ends_on_one_holds if {
	not passes(json.remove(forbidden, ["date"]), leave)
	every day in ["", "2026-1-1", "yesterday", null, 5, "0000-00-00", "2026-11-21T00:00:00Z"] {
		not passes(json.patch(forbidden, [{"op": "replace", "path": "/date", "value": day}]), leave)
	}
}

test_without_owner_reason_rule_or_expiry_it_is_none if {
	every field in object.keys(leave) {
		not passes(forbidden, json.remove(leave, [field]))
		every value in ["", "  ", null, true, 5, ["a"]] {
			not passes(forbidden, object.union(leave, {field: value}))
		}
	}
}

test_an_expiry_that_is_no_day_is_none if {
	every day in ["never", "9999", "2027-13-01", "2027-02-40", "2027-01-01 ", "31.12.2027"] {
		not passes(forbidden, object.union(leave, {"expires": day}))
	}
}

test_with_a_member_that_nobody_knows_it_is_none if {
	not passes(forbidden, object.union(leave, {"teams": "red"}))
	not passes(forbidden, object.union(leave, {"scope": null}))
}

test_it_holds_for_what_it_names_alone if {
	every name, values in {
		"team": ["blue", "bl*", "red"],
		"caller": ["website-prod", "website-*", "app"],
		"model": ["gpt-5", "gpt-*", "o3"],
		"destination": ["api.openai.com", "*.openai.com", "api.example.net"],
	} {
		passes(forbidden, object.union(leave, {name: values[0]}))
		passes(forbidden, object.union(leave, {name: values[1]}))
		not passes(forbidden, object.union(leave, {name: values[2]}))
		every value in [null, 5, true, []] { not passes(forbidden, object.union(leave, {name: value})) }
	}
	not passes(forbidden, object.union(leave, {"team": "blue", "caller": "app"}))
}

test_what_it_names_has_to_be_known if {
	every name, path in {"team": "principal/team", "caller": "principal/caller", "destination": "route/destination"} {
		not passes(json.remove(forbidden, [path]), object.union(leave, {name: "*"}))
	}
	not passes(json.remove(forbidden, ["request/model"]), object.union(leave, {"model": "*"}))
}

test_it_holds_for_a_model_only_with_all_that_may_answer_instead if {
	with_fallback := json.patch(forbidden, [{"op": "add", "path": "/request/fallback_models", "value": ["o3"]}])
	not passes(with_fallback, object.union(leave, {"model": "gpt-5"}))
	passes(with_fallback, object.union(leave, {"model": "*"}))
}

test_another_rule_still_binds if {
	not passes(forbidden, object.union(leave, {"rule": "access.api_allowlist"}))
	elsewhere := json.patch(forbidden, [{"op": "replace", "path": "/route/destination", "value": "api.example.net"}])
	judged(elsewhere, [leave]).action == "deny"
}

test_the_longest_of_several_is_the_one_to_look_at if {
	answer := judged(forbidden, [leave, object.union(leave, {"expires": "2027-01-01", "owner": "bob@example.com"})])
	startswith(answer.reasons[0].message, "exception of bob@example.com until 2027-01-01")
}

test_what_had_to_be_redacted_passes_but_is_still_kept_out_of_the_archive if {
	answer := judged(
		fixture.with_value("/findings", [fixture.finding("EMAIL_ADDRESS", "pii")]),
		[object.union(leave, {"rule": "content.data_classes"})],
	)
	answer.action == "allow"
	answer.redact == []
	answer.mask == ["EMAIL_ADDRESS"]
}

test_a_freeze_knows_no_exceptions if {
	stopped := decision with input as fixture.request with data.data as object.union(fixture.settings, {
		"freezes": [{"kind": "team", "value": "blue", "owner": "soc", "reason": "a test"}],
		"exceptions": [object.union(leave, {"rule": "access.freeze"})],
	})
	stopped.action == "deny"
}

test_nor_does_the_contract if {
	not passes(fixture.with_value("/schema_version", 2), object.union(leave, {"rule": "main.contract"}))
}

test_exceptions_of_another_type_are_none if {
	every exceptions in ["none", null, 5, {"a": 1}, [null], ["access.model_allowlist"]] {
		judged(forbidden, exceptions).action == "deny"
	}
}
