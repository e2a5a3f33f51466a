"""The grammar of Claude's messages: requests, answers, errors, conversations."""
