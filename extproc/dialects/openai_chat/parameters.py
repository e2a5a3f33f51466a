"""The members of chats and completions that steer the model, in all dialects."""

from __future__ import annotations

from extproc.steering import Steering

_BOTH = """best_of echo frequency_penalty ignore_eos include_reasoning logprobs min_p min_tokens parallel_tool_calls
    presence_penalty prompt_cache_retention prompt_mode reasoning_effort reasoning_format repetition_penalty safe_prompt
    search_mode seed service_tier store tool_choice top_a top_k top_logprobs top_p verbosity"""
_CHAT_ALONE = """reasoning.effort reasoning.enabled reasoning.max_tokens response_format.type thinking.budget_tokens
    thinking.type web_search_options.search_context_size"""

COMPLETIONS = Steering(_BOTH)
CHAT = Steering(f"{_BOTH} {_CHAT_ALONE}")
