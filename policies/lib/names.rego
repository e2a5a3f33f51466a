# METADATA
# title: Lists of names
# description: |
#   Entries are names, exact or with * (`gpt-4o*`); * crosses dots and slashes, too. What is no name is on no list.
package headgate.lib.names

# METADATA
# scope: document
# description: Is the name on the list?
default match(_, _) := false

match(patterns, name) if {
	some pattern in patterns
	glob.match(pattern, null, name)
}

# METADATA
# scope: document
# description: |
#   The models that may answer: the one asked for and those that the provider may use in its stead. Empty where none
#   can be read.
# schemas:
#   - input: schema.input
default models := []

models := array.concat([input.request.model], fallbacks) if input.request.model

# METADATA
# scope: document
# description: |
#   The models that the provider may use instead, by the request's own word. What is no list of names is one name that
#   no list has.
# schemas:
#   - input: schema.input
default fallbacks := []

fallbacks := input.request.fallback_models if is_array(input.request.fallback_models)

# Asked for by name: who asks for all names of the request reads all of it, and no decision could be remembered.
fallbacks := [false] if {
	type_name(input.request.fallback_models) != ""
	not is_array(input.request.fallback_models)
}

# METADATA
# scope: document
# description: |
#   The tools that the request offers and those that it has executed itself. What is no list of names, or a call of
#   tools without one, is one name that no list has.
# schemas:
#   - input: schema.input
tools := array.concat(_offered, _called)

default _offered := [false]

_offered := input.request.tools if is_array(input.request.tools)

default _called := []

_called := input.request.called_tools if is_array(input.request.called_tools)

_called := [false] if {
	not _are_listed
	_calls
}

_are_listed if is_array(input.request.called_tools)

_calls if type_name(input.request.called_tools) != ""

_calls if "tools/call" in input.request.rpc_methods

# METADATA
# scope: document
# description: |
#   Names that the gateway does not pass on: something was found in one of them, or they are overlong. Any name may
#   stand behind them.
withheld := {"(withheld)", "(overlong)"}
