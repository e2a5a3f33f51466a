package system.log_test

import data.system.log

test_people_and_paths_are_masked if {
	log.mask == {"/input/principal/user", "/input/principal/caller", "/input/request/path"}
}

test_decisions_are_kept if not log.drop with input as {"path": "headgate/main/decision"}

test_questions_about_bundles_are_dropped if log.drop with input as {"path": "system/bundles"}

test_what_has_no_path_is_kept if not log.drop with input as {}
