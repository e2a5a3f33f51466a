# METADATA
# title: Names in messages
# description: |
#   A client chooses the model name and the path, and a message goes to logs, rows and back to people: only what looks
#   like a name is repeated.
package headgate.lib.text

default printable(_) := "(unprintable)"

# METADATA
# scope: document
# description: The name itself when it looks like one, else "(unprintable)".
printable(name) := name if regex.match(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$`, name)

# METADATA
# scope: document
# description: |
#   A list for people, whatever is in it; says so when it is empty. Always defined: where a message is undefined, its
#   rule does not fire.
default listed(_) := "none"

listed(names) := concat(", ", [sprintf("%v", [name]) | some name in names]) if count(names) > 0
