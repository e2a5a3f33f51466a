package headgate.rules.content.data_classes_test

import data.headgate.fixture
import data.headgate.rules.content.data_classes.verdicts

email := fixture.finding("EMAIL_ADDRESS", "pii")

card := fixture.finding("CREDIT_CARD", "pii")

key := fixture.finding("AWS_ACCESS_KEY", "secret")

found(findings) := said if {
	said := verdicts with input as fixture.with_value("/findings", findings) with data.data as fixture.settings
}

handled(findings, data_classes) := {verdict.action | some verdict in said} if {
	said := verdicts with input as fixture.with_value("/findings", findings)
		with data.data as {"teams": {"blue": {"data_classes": data_classes}}}
}

test_nothing_found_is_nothing_said if count(found([])) == 0

test_a_class_to_redact_names_its_entities if {
	found([card, email]) == {{
		"rule": "content.data_classes",
		"message": "CREDIT_CARD, EMAIL_ADDRESS (pii) is replaced before the request leaves, as team blue has to",
		"action": "redact",
		"enforced": true,
		"entities": ["CREDIT_CARD", "EMAIL_ADDRESS"],
	}}
}

test_a_class_to_deny_stops_the_request if {
	some verdict in found([key])
	verdict.action == "deny"
	verdict.entities == []
	verdict.message == concat(" ", [
		"the request holds AWS_ACCESS_KEY (secret), which team blue must not send:",
		"take it out and try again",
	])
}

test_each_class_is_handled_for_itself if {
	{verdict.action | some verdict in found([email, key])} == {"redact", "deny"}
}

test_an_allowed_class_passes if count(handled([email], {"pii": "allow"})) == 0

test_an_unnamed_class_is_denied if {
	handled([email], {"secret": "allow"}) == {"deny"}
	handled([email], {}) == {"deny"}
}

test_an_unknown_word_is_a_denial if {
	every word in ["Redact", "permit", "", 1, true, null, ["allow"]] {
		handled([email], {"pii": word}) == {"deny"}
	}
}

test_a_finding_without_its_fields_is_still_a_finding if {
	handled([{}], {"pii": "allow", "secret": "allow"}) == {"deny"}
	handled([{"entity": "EMAIL_ADDRESS"}], {"pii": "allow", "secret": "allow"}) == {"deny"}
	handled([{"entity": 5, "data_class": "pii"}], {"pii": "deny"}) == {"deny"}
}

test_findings_of_another_type_deny if {
	every findings in ["none", {"a": 1}, null, 5, ["EMAIL_ADDRESS"], [null]] {
		handled(findings, {"pii": "allow", "secret": "allow"}) == {"deny"}
	}
}

test_a_missing_field_denies if {
	every path in ["findings", "findings_truncated"] {
		count(verdicts) == 1 with input as fixture.without(path) with data.data as fixture.settings
	}
}

test_more_findings_than_are_listed_deny if {
	count(verdicts) == 1 with input as fixture.with_value("/findings_truncated", true)
		with data.data as fixture.settings
}
