# METADATA
# title: What OPA's decision log leaves out
# description: |
#   Read by OPA itself where `policy.decision_log` is on. The input holds no text of prompts, but it names people, and a
#   path can hold anything. The archive has both, under its own permissions; the log has the team and the decision.
#   A bundle without this package logs everything.
# scope: package
# authors:
#   - Headgate
package system.log

# METADATA
# description: JSON pointers into the logged event that are taken out of it; OPA lists them as `erased`.
mask contains pointer if some pointer in ["/input/principal/user", "/input/principal/caller", "/input/request/path"]

# METADATA
# description: Only decisions are logged, not what extproc asks four times a second about the bundles.
drop if input.path != "headgate/main/decision"
