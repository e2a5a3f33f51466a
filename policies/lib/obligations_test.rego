package headgate.lib.obligations_test

import data.headgate.fixture
import data.headgate.lib.obligations

kept(findings, over) := both if {
	both := [obligations.capture, obligations.retention_class] with input as fixture.with_value("/findings", findings)
		with data.data as fixture.blue(over)
}

email := fixture.finding("EMAIL_ADDRESS", "pii")

key := fixture.finding("AWS_ACCESS_KEY", "secret")

by_class := {
	"capture": "full",
	"capture_by_class": {"pii": "redacted", "secret": "metadata"},
	"retention_class": "legal",
	"retention_by_class": {"pii": "month", "secret": "week"},
	"retention_order": ["week", "month", "default", "legal"],
}

test_without_findings_the_teams_own_words_count if {
	kept([], by_class) == ["full", "legal"]
	kept([], {}) == ["redacted", "default"]
}

test_a_class_that_was_found_makes_it_stricter if kept([email], by_class) == ["redacted", "month"]

test_of_several_classes_the_strictest_counts if {
	kept([email, key], by_class) == ["metadata", "week"]
	kept([key, email], by_class) == ["metadata", "week"]
}

test_a_class_that_is_not_named_changes_nothing if {
	kept([fixture.finding("IP_ADDRESS", "network")], by_class) == ["full", "legal"]
}

test_a_class_never_makes_it_less_strict if {
	kept([email], {"capture": "metadata", "capture_by_class": {"pii": "full"}})[0] == "metadata"
	kept([email], object.union(by_class, {"retention_class": "week"}))[1] == "week"
}

test_any_other_word_keeps_no_text if {
	every word in ["everything", "", null, 5] {
		kept([email], {"capture_by_class": {"pii": word}})[0] == "metadata"
		kept([], {"capture": word})[0] == "metadata"
	}
}

test_a_retention_class_that_is_in_no_order_counts_as_stricter if {
	kept([email], {"retention_by_class": {"pii": "month"}})[1] == "month"
	kept([email, key], {"retention_by_class": {"pii": "month", "secret": "day"}})[1] == "day"
}

test_a_retention_class_that_is_no_word_is_none if {
	every word in [null, 5, ["month"], {}] { kept([email], {"retention_by_class": {"pii": word}})[1] == "default" }
}

test_where_it_cannot_be_told_what_was_found_all_classes_count if {
	every request in [
		fixture.without("findings"),
		fixture.without("findings_truncated"),
		fixture.with_value("/findings_truncated", true),
		fixture.with_value("/findings", "none"),
		fixture.with_value("/findings", [{"entity": "EMAIL_ADDRESS"}]),
		fixture.with_value("/findings", [{"data_class": 5}]),
	] {
		both := [obligations.capture, obligations.retention_class] with input as request
			with data.data as fixture.blue(by_class)
		both == ["metadata", "week"]
	}
}

test_without_settings_no_text_is_kept if {
	nothing := [obligations.capture, obligations.retention_class] with input as fixture.request with data.data as {}
	nothing == ["metadata", "default"]
}
