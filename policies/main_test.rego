package headgate.main_test

import data.headgate.fixture
import data.headgate.main.decision

judged(request) := answer if {
	answer := decision with input as request with data.data as settings
}

settings := object.union(
	fixture.settings,
	{"freezes": [{"kind": "tool", "value": "run_shell", "owner": "soc", "reason": "a test"}]},
)

email := fixture.finding("EMAIL_ADDRESS", "pii")

key := fixture.finding("AWS_ACCESS_KEY", "secret")

denied_requests := {
	"model": fixture.with_value("/request/model", "gpt-5"),
	"destination": fixture.with_value("/route/destination", "api.example.net"),
	"api": fixture.with_value("/request/api", "gemini.generate_content"),
	"caller": fixture.with_value("/principal/attributed", false),
	"opaque": fixture.opaque("POST", "/v1/images/edits"),
	"secret": fixture.with_value("/findings", [email, key]),
	"truncated": fixture.with_value("/findings_truncated", true),
	"frozen": fixture.with_value("/request/tools", ["run_shell"]),
	"part": fixture.with_value("/uninspected_parts", [{"kind": "audio"}]),
}

paths := {concat("/", [sprintf("%v", [step]) | some step in path]) |
	some request in denied_requests
	walk(request, [path, _])
	count(path) > 0
}

test_an_ordinary_request_is_allowed if {
	judged(fixture.request) == {
		"action": "allow",
		"status": 403,
		"reasons": [],
		"redact": [],
		"mask": [],
		"obligations": {"capture": "redacted", "retention_class": "default"},
	}
}

test_each_rule_denies_what_it_is_there_for if {
	every request in denied_requests {
		judged(request).action == "deny"
	}
}

test_leaving_any_field_out_never_turns_a_denial_into_anything_else if {
	count(paths) > 30
	every name, request in denied_requests {
		every path in paths {
			denied_without(name, request, path)
		}
	}
}

# What makes the request deniable may be taken out of it as a whole: then it is an ordinary one.
denied_without("frozen", _, "request/tools/0")

denied_without("secret", _, path) if path in {"findings/1", "findings/0"}

denied_without("part", _, "uninspected_parts/0")

denied_without(_, request, path) if judged(json.remove(request, [path])).action == "deny"

test_leaving_any_field_out_never_lets_a_finding_through if {
	every path in {p | some p in paths; not startswith(p, "findings/")} {
		judged(json.remove(fixture.with_value("/findings", [email]), [path])).action in {"redact", "deny"}
	}
}

test_nothing_known_is_a_denial if {
	every request in [{}, [], null, "", 0] {
		judged(request).action == "deny"
		judged(request).obligations.capture == "redacted"
	}
}

test_without_settings_all_is_denied_and_no_text_kept if {
	nothing := decision with input as fixture.request with data.data as {}
	nothing.action == "deny"
	nothing.obligations.capture == "metadata"
}

test_another_contract_is_denied if {
	judged(fixture.with_value("/schema_version", 2)).action == "deny"
	judged(fixture.with_value("/phase", "response")).action == "deny"
}

test_a_bundle_without_rules_denies if {
	empty := decision with input as fixture.request with data.data as fixture.settings with data.headgate.rules as {}
	empty.action == "deny"
	[reason.rule | some reason in empty.reasons] == ["main.contract"]
}

test_a_denial_beats_a_redaction if {
	both := judged(fixture.with_value("/findings", [email, key]))
	both.action == "deny"
	count(both.reasons) == 2
}

test_an_attempt_to_steer_the_model_is_nobodys_data if {
	watched := judged(fixture.with_value("/findings", [fixture.finding("PROMPT_INJECTION", "injection")]))
	watched.action == "allow"
	watched.mask == []
	{reason.rule | some reason in watched.reasons} == {"content.prompt_injection"}
}

test_a_finding_without_a_class_is_kept_out_of_the_archive if {
	judged(fixture.with_value("/findings", [{"entity": "EMAIL_ADDRESS"}])).mask == ["EMAIL_ADDRESS"]
}

test_redaction_lists_what_to_replace if {
	redacted := judged(fixture.with_value("/findings", [email]))
	redacted.action == "redact"
	redacted.redact == ["EMAIL_ADDRESS"]
	redacted.mask == ["EMAIL_ADDRESS"]
}

test_a_rule_in_shadow_leaves_its_reason_and_binds_nothing if {
	watched := decision with input as fixture.with_value("/findings", [email, key])
		with data.data as fixture.settings
		with data.data.default.enforcement as {"content.data_classes": "shadow"}
	watched.action == "allow"
	watched.redact == []
	{[reason.action, reason.enforced] | some reason in watched.reasons} == {["redact", false], ["deny", false]}
	watched.mask == ["AWS_ACCESS_KEY", "EMAIL_ADDRESS"] # what the archive keeps is another matter
}

test_any_other_word_for_enforcement_binds if {
	every word in ["Shadow", "off", "", 1, null] {
		bound := decision with input as fixture.with_value("/findings", [key])
			with data.data as fixture.settings
			with data.data.default.enforcement as {"content.data_classes": word}
		bound.action == "deny"
	}
}

test_an_unknown_action_denies if {
	strange := decision with input as fixture.request
		with data.data as fixture.settings
		with data.headgate.rules as {"a": {"b": {"verdicts": {{
			"rule": "a.b",
			"message": "hm",
			"action": "permit",
			"enforced": true,
			"entities": [],
		}}}}}
	strange.action == "deny"
}

test_what_a_team_may_use_freely_is_kept_and_secrets_never if {
	free := decision with input as fixture.with_value("/findings", [email, key])
		with data.data as fixture.settings
		with data.data.teams.blue.data_classes as {"pii": "allow", "secret": "allow"}
	free.action == "allow"
	free.mask == ["AWS_ACCESS_KEY"]
}

test_obligations_are_the_teams if {
	kept := decision with input as fixture.request
		with data.data as fixture.settings
		with data.data.teams.blue.capture as "full"
		with data.data.teams.blue.retention_class as "legal"
	kept.obligations == {"capture": "full", "retention_class": "legal"}
}

test_an_unknown_capture_level_keeps_no_text if {
	every level in ["everything", "", 1, null] {
		kept := decision with input as fixture.request
			with data.data as fixture.settings
			with data.data.teams.blue.capture as level
		kept.obligations.capture == "metadata"
	}
}

# The example in data/data.yaml, as it stands.

example(team, model) := answer if {
	answer := decision with input as fixture.patched([
		{"op": "replace", "path": "/principal/team", "value": team},
		{"op": "replace", "path": "/request/model", "value": model},
	])
}

test_the_example_teams_may_use_their_models if {
	example("search", "gpt-4o").action == "allow"
	example("search", "claude-sonnet-4-5").action == "allow"
	example("search", "o3").action == "deny"
	example("support", "gpt-4o-mini").action == "allow"
	example("support", "claude-haiku-4-5").action == "allow"
	example("support", "gpt-4o").action == "deny"
	example("research", "anything-at-all").action == "allow"
	example("nobody", "gpt-4o-mini").action == "deny"
}
