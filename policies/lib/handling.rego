# METADATA
# title: What may be done with a class of data
# description: |
#   The team's `data_classes` give a class one word (allow, redact), or a word for each destination: host names, exact
#   or with *. An exact host goes before a pattern, a pattern before "*"; of several patterns the strictest word
#   counts. A class that is not named, a destination that no entry matches, and any other word mean deny.
package headgate.lib.handling

import data.headgate.lib.team

# METADATA
# scope: document
# description: allow, redact or deny.
# schemas:
#   - input: schema.input
default of(_) := "deny"

of(data_class) := word if {
	word := team.settings.data_classes[data_class]
	word in {"allow", "redact"}
}

of(data_class) := word if {
	is_string(input.route.destination)
	word := _here(team.map("data_classes")[data_class])
	word in {"allow", "redact"}
}

# METADATA
# scope: document
# description: Does it depend on where the request goes?
# schemas:
#   - input: schema.input
default depends(_) := false

depends(data_class) if is_object(team.settings.data_classes[data_class])

_here(words) := word if word := words[input.route.destination]

else := _strictest(_matching(words)) if count(_matching(words)) > 0

else := words["*"]

_matching(words) := {word |
	some pattern, word in words
	pattern != "*"
	glob.match(pattern, null, input.route.destination)
}

default _strictest(_) := "deny"

_strictest(words) := "allow" if words == {"allow"}

_strictest(words) := "redact" if {
	"redact" in words
	words - {"allow", "redact"} == set()
}
