"""Sentences that give orders to a model which are not the reader's to give: overriding what it was told, asking for what
it was told, forging who speaks, orders to whatever reads a tool's result. English here; `languages` has others.

Words alone are innocent ("ignore the previous line"): each pattern wants the verb and what it is done to, close together.
Sources: the attack lists that OWASP's LLM01 and the published corpora of prompt injection describe.
"""

from __future__ import annotations

from typing import Final

_BEFORE: Final = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|former|initial|original|existing|past|given|old)"
)
_OWNER: Final = r"(?:(?:all|any|every|each|the|these|those|your|my|our|its|other|of|and|set|such)\W{1,3}){0,5}"
_SAID: Final = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|commands?|orders?|programming|training"
    r"|constraints?|safeguards?|guardrails?|restrictions?|regulations?)"
)
_ANYTHING: Final = (
    r"(?:messages?|context|conversations?|texts?|inputs?|tasks?|requests?|content|data|information|words)"
)
_FORGET: Final = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|neglect(?:ing)?|pay no attention to|do(?:n'?t| not) (?:follow|obey|listen to)"
    r"|stop (?:following|obeying)|drop|erase|delete)"
)
_BREAK: Final = (
    r"(?:overrid(?:e|es|ing)|overrul(?:e|ing)|bypass(?:ing)?|circumvent(?:ing)?|violat(?:e|ing)|discard|abandon|break)"
)

OVERRIDES: Final = (
    # ignore (all of) the previous instructions
    rf"(?i)\b{_FORGET}\W{{1,3}}{_OWNER}{_BEFORE}\W{{1,3}}(?:[a-z]+\W{{1,3}}){{0,2}}{_SAID}\b",
    rf"(?i)\b{_FORGET}\W{{1,3}}(?:all|any|every)\W{{1,3}}{_OWNER}(?:previous|prior|above|preceding|foregoing)\W{{1,3}}(?:[a-z]+\W{{1,3}}){{0,2}}{_ANYTHING}\b",
    # ignore your (system) instructions, ignore all rules
    rf"(?i)\b(?:{_FORGET}|{_BREAK})\W{{1,3}}(?:(?:all|any|of|the|both)\W{{1,3}}){{0,3}}(?:your|its)\W{{1,3}}(?:[a-z]+\W{{1,3}}){{0,3}}{_SAID}\b",
    rf"(?i)\b{_FORGET}\W{{1,3}}(?:all|any|every)\W{{1,3}}(?:of\W{{1,3}})?(?:the\W{{1,3}})?(?:[a-z]+\W{{1,3}})?{_SAID}\b",
    rf"(?i)\b{_BREAK}\W{{1,3}}{_OWNER}(?:{_BEFORE}|system|developer|safety|hidden)\W{{1,3}}(?:[a-z]+\W{{1,3}})?"
    r"(?:instructions?|directives?|prompts?|guidelines?|safeguards?|guardrails?)\b",
    # ignore the instructions (that were) given before / above
    rf"(?i)\b{_FORGET}\W{{1,3}}{_OWNER}{_SAID}\W{{1,3}}(?:[a-z']+\W{{1,3}}){{0,5}}(?:above|before|so far|until now|earlier|previously)\b",
    # ignore (everything) above, forget everything you were told
    rf"(?i)\b{_FORGET}\W{{1,3}}(?:everything|anything|whatever|all (?:that )?(?:you|i|we))\W{{1,3}}(?:that\W{{1,3}})?(?:[a-z']+\W{{1,3}}){{0,6}}"
    r"(?:above|before(?:hand)?|told|learned|learnt|said|instructed|earlier|previously|prior|know|taught)\b",
    r"(?i)\b(?:ignore|disregard) (?:the )?above (?:and|directions|instructions|text|,)",
    r"(?i)\b(?:your|these|the following) (?:new|updated|real|actual|true) (?:instructions?|task|objective|goal|orders?|role|mission|prompt) (?:is|are|will be|below|follows?)\b",
    r"(?i)\b(?:new|updated|revised|override) (?:system )?(?:instructions?|directives?|prompt)\s{0,2}:",
    r"(?i)\b(?:instructions?|rules|guidelines|prompt) (?:above|before|you (?:were|have been) given)[^.\n]{0,24} (?:no longer|do not|don'?t) (?:apply|matter|count)",
    r"(?i)\b(?:you (?:must|should|will|can|shall) )(?:now )?(?:ignore|disregard|forget) (?:all|any|your|every)[^.\n]{0,40}(?:instructions|rules|guidelines|policies|programming|training|restrictions)",
)

_HIDDEN_TEXT: Final = (
    r"(?:(?:system|initial|hidden|original|secret|developer|internal|full|exact|entire|complete|confidential|base|pre|custom)[- ]?\W{0,2}){1,3}"
    r"(?:prompts?|instructions?|messages?|rules|directives?|guidelines|configuration|commands?)"
)
_TELL: Final = (
    r"(?:reveal|show|print|repeat|display|output|tell|give|leak|expose|disclose|dump|write|recite|return|share|send|provide|list|echo"
    r"|copy|paste|describe|summari[sz]e|translate|encode|what(?:'s| is| are| was| were))"
)
EXFILTRATION: Final = (
    rf"(?i)\b{_TELL}\W{{1,3}}(?:[a-z]+\W{{1,3}}){{0,4}}your\W{{1,3}}(?:[a-z]+\W{{1,3}}){{0,2}}{_HIDDEN_TEXT}\b",
    r"(?i)\b(?:repeat|print|output|reveal|leak|echo|recite|dump|show me)\W{1,3}(?:me\W)?(?:the|all|everything|every)?\W{0,3}(?:of\W)?(?:the\W)?"
    r"(?:system prompt|hidden prompt|initial prompt|secret prompt|prompt above|(?:words?|text|sentences|everything|all|instructions|content|lines?) (?:that (?:is|are) )?above)\b",
    r"(?i)\brepeat (?:back )?(?:everything|all|the (?:words|text|content))\b[^.\n]{0,40}\b(?:above|before this|so far|starting with|verbatim)",
    r"(?i)\bwhat (?:were|was|are) (?:you|your) (?:told|instructed|initial|first|original)[^.?\n]{0,30}(?:instructions?|prompt|before this|above|rules)",
)

FORGERY: Final = (
    r"<\|im_start\|>\s{0,2}(?:system|assistant|user|developer)",
    r"<\|(?:start_header_id|begin_of_text|system|assistant|developer|endofprompt|eot_id)\|>",
    r"<<SYS>>|<</SYS>>",
    r"<start_of_turn>(?:model|system|developer)",
    r"(?i)\"role\\?\"\s{0,3}:\s{0,3}\\?\"(?:system|developer|assistant)\\?\"\s{0,3},\s{0,3}\\?\"content\\?\"\s{0,3}:\s{0,3}\\?\"[^\"\n]{0,80}(?:ignore|disregard|you are now|override|no longer|new instructions|unrestricted)",
    r"(?i)(?:^|\n)[#*\[<(\s]{0,6}(?:system|admin(?:istrator)?|developer)(?: (?:message|prompt|override|notice|instruction|update|command))?[\]>)*]{0,3}\s{0,2}[:>\]]\s{0,3}(?:[^\n]{0,60}\W)?(?:ignore|disregard|you (?:are now|must|will now)|override|new instructions|forget|do not tell)\b",
    r"(?i)\b(?:end|begin|start) of (?:the )?(?:system|user|developer)(?:'s)? (?:prompt|instructions?|input|message)\b",
    r"(?i)\[(?:system|developer|admin)[ _-](?:override|prompt|message|instructions?|update)\]",
)

_READER: Final = r"(?:ai|llms?|language models?|chat ?gpt|gpt-?[0-9o]*|claude|gemini|copilot|ai assistants?|ai agents?|chat ?bots?|ai models?)"
ORDERS: Final = (
    r"(?i)\b(?:do not|don'?t|never|without)\s+(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|alert(?:ing)?|notify(?:ing)?|warn(?:ing)?|reveal(?:ing)?|disclos(?:e|ing)|show(?:ing)?)[^.\n]{0,30}\b(?:to )?the (?:end )?user\b",
    rf"(?i)\b(?:attention|note|notice|message|instructions?|important|psa|reminder)\W{{1,3}}(?:to |for )?(?:the |any |all |every )?{_READER}\b\W{{0,3}}(?:reading|processing|reviewing|summari[sz]ing|parsing|agents?|assistants?|[:,!]|who|that|you|please|if)",
    rf"(?i)\bif you(?:'re| are) an? (?:{_READER}|large language model|ai language model|automated (?:agent|system))\b",
    r"(?i)<(?:important|system|hidden|secret|admin|instructions?)>[^<]{0,200}(?:before (?:using|calling) (?:this|any)|read (?:the )?(?:file|~/)|do not (?:tell|mention|inform)|must (?:first|always|also)|ignore|disregard)",
    r"(?i)\b(?:send|forward|e-?mail|upload|post|exfiltrate|transmit|leak)\W{1,3}(?:me\W{1,3})?(?:[a-z']+\W{1,3}){0,6}(?:conversation|chat history|credentials?|passwords?|api keys?|secrets?|tokens?|inbox|emails|private (?:data|keys?)|user data|environment variables|system prompt)\b[^.\n]{0,40}\bto\b[^.\n]{0,30}(?:https?://|@|attacker|this (?:url|address|webhook))",
    r"(?i)\b(?:when|once|after|before) (?:you|the assistant|the model) (?:read|see|process|summari[sz]e|use|call)s?\b[^.\n]{0,50}\b(?:you must|must|always|instead|secretly)\b[^.\n]{0,60}\b(?:send|call|run|execute|delete|forward|include|append|transfer|visit|read)\b",
    r"(?i)\b(?:append|include|insert|add)\b[^.\n]{0,40}\b(?:to|in|at the end of) (?:your|every|all|each) (?:responses?|answers?|repl(?:y|ies)|outputs?|summar(?:y|ies))\b[^.\n]{0,60}(?:https?://|link|url|image|!\[)",
    r"(?i)!\[[^\]\n]{0,60}\]\(https?://[^)\s]{1,200}[?&][a-z_]{1,20}=[^)\s]{0,40}(?:\{|%7b|<|\[|secret|prompt|conversation)",
)

PHRASES: Final = (*OVERRIDES, *EXFILTRATION, *FORGERY, *ORDERS)

TRIGGERS: Final = {
    **dict.fromkeys(
        OVERRIDES,
        r"(?i)\b(?:ignor(?:e|ing)|disregard|forget|neglect|pay no attention|(?:don'?t|do not) (?:follow|obey|listen)|stop (?:following|obeying)|drop|erase|delete|overrid|overrul|bypass|circumvent|violat|discard|abandon|break)[a-z]*\W{1,3}(?:(?:all|any|every|each|the|these|those|your|my|our|its|other|of|set|both|everything|anything|whatever|previous|prior|above|earlier|preceding|former|initial|original|existing|past|given|old|system|developer|safety|hidden)\W)",
    ),
}
"""What the prefilter looks for instead, by pattern, where the pattern itself is too long for it."""
for _pattern in (*OVERRIDES[8:11],):
    TRIGGERS[_pattern] = (
        r"(?i)\b(?:new|updated|revised|override|real|actual|true|no longer|do not|don'?t) (?:system |apply|matter|count|instruction|directive|task|objective|goal|order|role|mission|prompt)"
    )
