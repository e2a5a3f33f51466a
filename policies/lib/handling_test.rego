package headgate.lib.handling_test

import data.headgate.fixture
import data.headgate.lib.handling

said(words, destination) := word if {
	word := handling.of("pii") with input as fixture.with_value("/route/destination", destination)
		with data.data as fixture.blue({"data_classes": {"pii": words}})
}

words := {"eu.example.com": "allow", "*.example.com": "redact", "us*": "deny", "*": "redact"}

test_an_exact_host_goes_before_a_pattern if said(words, "eu.example.com") == "allow"

test_a_pattern_goes_before_the_star if said(words, "us.example.org") == "deny"

test_of_several_patterns_the_strictest_counts if {
	said(words, "us.example.com") == "deny"
	said({"us*": "allow", "*.example.com": "redact"}, "us.example.com") == "redact"
	said({"us*": "allow", "*.example.com": "allow"}, "us.example.com") == "allow"
	said({"us*": "allow", "*.example.com": "perhaps"}, "us.example.com") == "deny"
}

test_the_star_is_for_all_others if said(words, "api.example.net") == "redact"

test_a_destination_that_no_entry_matches_is_denied if {
	said({"eu.example.com": "allow"}, "api.example.net") == "deny"
	said({}, "api.example.net") == "deny"
}

test_a_host_that_only_contains_a_listed_one_is_not_meant if {
	said({"eu.example.com": "allow"}, "eu.example.com.example.net") == "deny"
	said({"eu.example.com": "allow"}, "not-eu.example.com") == "deny"
}

test_any_other_word_is_a_denial if {
	every word in ["Allow", "", null, 5, true, ["allow"], {"*": "allow"}] {
		said({"*": word}, "api.example.net") == "deny"
		said({"api.example.net": word}, "api.example.net") == "deny"
	}
}

test_where_the_destination_is_not_known_it_is_denied if {
	denied := handling.of("pii") with input as fixture.without("route/destination")
		with data.data as fixture.blue({"data_classes": {"pii": {"*": "allow"}}})
	denied == "deny"
	every value in [null, 5, true, {}, []] { said({"*": "allow"}, value) == "deny" }
}

test_the_rule_says_where_the_request_was_going if {
	some verdict in data.headgate.rules.content.data_classes.verdicts with input as fixture.with_value(
		"/findings",
		[fixture.finding("EMAIL_ADDRESS", "pii")],
	)
		with data.data as fixture.blue({"data_classes": {"pii": {"eu.example.com": "allow"}}})
	contains(verdict.message, "which team blue must not send to api.openai.com: take it out")
}

test_what_may_go_to_this_destination_alone_is_kept_out_of_the_archive_elsewhere if {
	request := fixture.with_value("/findings", [fixture.finding("EMAIL_ADDRESS", "pii")])
	here := data.headgate.main.decision with input as request
		with data.data as fixture.blue({"data_classes": {"pii": {"api.openai.com": "allow"}}})
	here.mask == []
	there := data.headgate.main.decision with input as request
		with data.data as fixture.blue({"data_classes": {"pii": {"eu.example.com": "allow"}}})
	there.mask == ["EMAIL_ADDRESS"]
	there.action == "deny"
}
