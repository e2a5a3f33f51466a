# METADATA
# title: Exceptions
# description: |
#   An entry of `exceptions` puts one rule in shadow for the requests that it names, up to and including the day on
#   which it expires (UTC). What it lets through keeps its reason, which says by whose leave. An entry without owner,
#   reason or expiry is none; nor is one with a member that is not known, for it may have been meant to be narrower.
package headgate.lib.exceptions

import data.data as config
import data.headgate.lib.names

# METADATA
# description: The verdict as it is, or in shadow where an exception holds for it. A freeze knows no exceptions.
# schemas:
#   - input: schema.input
applied(verdict) := object.union(verdict, {"enforced": false, "message": message}) if {
	# The one that holds longest: it is the one to look at.
	[expires, owner, reason] := max(_granted(verdict))
	message := sprintf("exception of %s until %s (%s): %s", [owner, expires, reason, verdict.message])
}

else := verdict

_granted(verdict) := {[exception.expires, exception.owner, exception.reason] |
	verdict.enforced == true
	verdict.rule != "access.freeze"
	some exception in config.exceptions
	exception.rule == verdict.rule
	_whole(exception)
	_holds(exception.expires)
	every name in object.keys(exception) - _said { _covers(name, exception[name]) }
}

_said := {"rule", "owner", "reason", "expires"}

_whole(exception) if {
	every name in _said { trim_space(exception[name]) != "" }
}

_holds(expires) if {
	input.date <= expires
	every day in [expires, input.date] { _is_day(day) }
}

_is_day(day) if regex.match(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, day)

_covers("team", pattern) if glob.match(pattern, null, input.principal.team)

_covers("caller", pattern) if glob.match(pattern, null, input.principal.caller)

_covers("destination", pattern) if glob.match(pattern, null, input.route.destination)

_covers("model", pattern) if {
	count(names.models) > 0
	every model in names.models { glob.match(pattern, null, model) }
}
