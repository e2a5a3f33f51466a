"""`headgate policy new rule CATEGORY.NAME`: a folder with a rule and its test, which pass `policy check` as they are.

The rule is a small one that works: it asks that the request's model be on the team's list `<name>`, where the team has
one. Whoever writes the real one has every part before them: metadata, what is permitted, the message, and a test for
hit, miss and each missing or strange field.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from extproc.errors import OperatorError

_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,40}\.[a-z][a-z0-9_]{0,40}")

_RULE: Final = Template("""\
# METADATA
# title: Say in a few words what must be so
# description: |
#   Say whom it protects, and from what. As it stands:
#   where the team has a list `$name`, the model asked for must be on it.
# schemas:
#   - input: schema.input
# custom:
#   id: $id
#   severity: medium
#   enforcement: $enforcement
#   reads: [principal.environment, principal.team, request.api, request.model]
package headgate.rules.$id

import data.headgate.lib.names
import data.headgate.lib.team
import data.headgate.lib.text
import data.headgate.lib.verdict

verdicts contains verdict.deny(rego.metadata.chain(), message) if not permitted

# Say what is permitted, never what is not: a field that is missing must not let anything through.
default permitted := false

permitted if not team.restricts("$name")

permitted if names.match(team.list("$name"), input.request.model)

permitted if input.request.api == "opaque"

# Always defined, holds no text of the prompt, and tells the reader what to do.
message := sprintf("team %s may use these models only: %s", [
	team.name,
	text.listed(team.list("$name")),
])
""")

_TEST: Final = Template("""\
package headgate.rules.${id}_test

import data.headgate.fixture
import data.headgate.rules.$id.verdicts

listed(models) := fixture.blue({"$name": models})

fires(request, models) if count(verdicts) == 1 with input as request with data.data as listed(models)

test_what_is_listed_passes if not fires(fixture.request, ["gpt-4o-*"])

test_what_is_not_listed_fires if {
	some verdict in verdicts with input as fixture.request with data.data as listed(["o3"])
	verdict.action == "deny"
	verdict.rule == "$id"
	verdict.message == "team blue may use these models only: o3"
}

test_it_is_${word}_by_default if {
	some verdict in verdicts with input as fixture.request with data.data as listed([])
	verdict.enforced == $enforced
}

test_a_team_without_the_list_is_not_limited if {
	count(verdicts) == 0 with input as fixture.request with data.data as fixture.settings
}

test_a_list_of_another_type_allows_nothing if {
	every models in ["gpt-4o-mini", null, 5, {"gpt-4o-mini": true}] { fires(fixture.request, models) }
}

test_a_call_that_is_not_read_has_nothing_to_judge if not fires(fixture.opaque("GET", "/v1/models"), ["o3"])

test_a_field_of_another_type_fires if {
	every value in fixture.strange { fires(fixture.with_value("/request/model", value), ["gpt-*"]) }
}

test_a_missing_field_fires if {
	every path in ["request", "request/model"] { fires(fixture.without(path), ["gpt-*"]) }
}
""")


def new_rule(folder: Path, rule_id: str, *, enforcement: str = "shadow") -> tuple[Path, Path]:
    """Write `rules/<category>/<name>/` with the rule and its test; returns the two files.

    Raises `OperatorError` for an id that is none, a folder that is no policy's, and a rule that is there already.
    """
    if _ID.fullmatch(rule_id) is None:
        raise OperatorError("rule_id_invalid", f"{rule_id}: give CATEGORY.NAME in lower case, like access.office_hours")
    if not (folder / "main.rego").is_file():
        raise OperatorError("policy_missing", f"{folder}: no main.rego there: give the folder of a policy bundle")
    category, name = rule_id.split(".")
    home = folder / "rules" / category / name
    if home.exists():
        raise OperatorError("rule_exists", f"{rule_id} is there already: {home}")
    values = {
        "id": rule_id,
        "name": name,
        "enforcement": enforcement,
        "enforced": "true" if enforcement == "enforce" else "false",
        "word": "enforced" if enforcement == "enforce" else "in_shadow",
    }
    home.mkdir(parents=True)
    rule, test = home / f"{name}.rego", home / f"{name}_test.rego"
    rule.write_text(_RULE.substitute(values), encoding="utf-8")
    test.write_text(_TEST.substitute(values), encoding="utf-8")
    return rule, test
