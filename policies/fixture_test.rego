# METADATA
# title: Requests and settings that the rules' tests share
# description: Left out of bundles, as every *_test.rego is.
package headgate.fixture

# METADATA
# description: An ordinary request of team `blue`, which its settings allow.
request := {
	"schema_version": 1,
	"phase": "request",
	"mode": "enforce",
	"date": "2026-11-21",
	"route": {
		"name": "openai",
		"provider": "openai",
		"destination": "api.openai.com",
		"credentials": "inject",
		"authentication": "api_key",
	},
	"principal": {
		"team": "blue",
		"project": "website",
		"environment": "production",
		"caller": "website-prod",
		"source": "api_key",
		"attributed": true,
	},
	"request": {
		"method": "POST",
		"path": "/v1/chat/completions",
		"api": "openai.chat",
		"api_source": "path",
		"operation": "chat",
		"model": "gpt-4o-mini",
		"stream": false,
		"max_output_tokens": 100,
		"choices": 1,
		"temperature": 0.5,
		"tools": [],
		"message_count": 1,
		"has_system_text": false,
		"body_bytes": 100,
	},
	"findings": [],
	"findings_truncated": false,
	"uninspected_parts": [],
}

# METADATA
# description: Settings with something allowed of each kind.
settings := {
	"default": {
		"models": [],
		"apis": ["openai.chat", "opaque"],
		"destinations": ["api.openai.com"],
		"data_classes": {"pii": "redact", "secret": "deny"},
		"opaque_calls": [{"method": "GET", "path": "/v1/models"}, {"method": "GET", "path": "/v1/files/*"}],
		"uninspected_kinds": [],
		"max_output_tokens": "unlimited",
		"enforcement": {},
		"capture": "redacted",
		"retention_class": "default",
	},
	"teams": {"blue": {
		"models": ["gpt-4o-mini", "claude-*"],
		"uninspected_kinds": ["image"],
		"max_output_tokens": 1000,
	}},
}

# METADATA
# description: The ordinary request with changes, as JSON patches (RFC 6902).
patched(patches) := json.patch(request, patches)

# METADATA
# description: The ordinary request with one value set.
with_value(path, value) := json.patch(request, [{"op": "add", "path": path, "value": value}])

# METADATA
# description: The ordinary request without one value.
without(path) := json.remove(request, [path])

# METADATA
# description: The ordinary request as a call that no codec reads.
opaque(method, path) := patched([
	{"op": "replace", "path": "/request/api", "value": "opaque"},
	{"op": "replace", "path": "/request/method", "value": method},
	{"op": "replace", "path": "/request/path", "value": path},
	{"op": "remove", "path": "/request/model"},
	{"op": "remove", "path": "/request/max_output_tokens"},
])

# METADATA
# description: Findings of the shape that extproc sends.
finding(entity, data_class) := {"entity": entity, "data_class": data_class, "count": 1, "places": ["user"]}

# METADATA
# description: Values of every type that JSON has, none of which is a name or a list of names.
strange := [null, false, true, 5, {"a": 1}, [[]], [5], ""]

# METADATA
# description: The settings of team `blue` with these laid over them.
blue(over) := object.union(settings, {"teams": {"blue": over}})
