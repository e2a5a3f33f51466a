package headgate.rules.content.uninspected_parts_test

import data.headgate.fixture
import data.headgate.rules.content.uninspected_parts.verdicts

denied(parts) if {
	count(verdicts) == 1 with input as fixture.with_value("/uninspected_parts", parts)
		with data.data as fixture.settings
}

test_no_parts_pass if not denied([])

test_a_listed_kind_passes if not denied([{"kind": "image", "media_type": "image/png"}])

test_one_unlisted_kind_among_listed_ones_is_denied if {
	some verdict in verdicts with input as fixture.with_value("/uninspected_parts", [{"kind": "image"}, {"kind": "file"}])
		with data.data as fixture.settings
	verdict.action == "deny"
	verdict.message == "team blue may not send parts that the gateway cannot read (file); allowed: image"
}

test_a_part_without_a_kind_is_denied if denied([{}])

test_parts_of_another_type_are_denied if {
	every parts in ["none", null, 5, ["image"], {"a": {"kind": "image"}}] {
		denied(parts)
	}
}

test_a_missing_field_denies if {
	count(verdicts) == 1 with input as fixture.without("uninspected_parts") with data.data as fixture.settings
}
