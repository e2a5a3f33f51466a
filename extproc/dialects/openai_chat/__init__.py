"""The grammar of chat completions: requests, answers, errors, conversations."""
