"""Jailbreaks: role play that is to free a model of its rules (the DAN family and its many children).

They are long, and each sentence of them is innocent somewhere: "stay in character", "act as", "no matter what". So what
counts is how many different cues stand together. A cue is reported when it and those before it, within `REACH_BYTES`,
weigh `ENOUGH`; evidence is only looked for backwards, so that a stream knows as much as a whole text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import re2

from extproc.detector import EntityNote, EntityPattern, Match
from extproc.first_bytes import first_bytes
from extproc.recogniser import options

REACH_BYTES: Final = 4096
ENOUGH: Final = 4
CUE_BYTES_MAX: Final = 200
CUES_MAX: Final = 2048
"""Cues that one text is weighed by; one with more has been reported long before."""


@dataclass(frozen=True, slots=True)
class Cue:
    group: str
    """Cues of one group count once."""
    weight: int
    pattern: str


_AI: Final = r"(?:ai|a\.i\.|al|chat ?bots?|assistants?|language models?|models?|gpt|chat ?gpt|llms?|bots?|persona|character|entity|being)"
_UNBOUND: Final = r"(?:unfiltered|uncensored|unrestricted|unlimited|unhinged|amoral|immoral|unethical|lawless|limitless|filterless|jailbroken|rule-?less)"
_RULE: Final = (
    r"(?:ethic(?:s|al)|moral(?:s|ity)?|restrict(?:ions?|ed|ive)|filter(?:s|ing|ed)?|guidelines?|censor(?:ship|ed|ing)?|limit(?:s|ations?|ed)?"
    r"|polic(?:y|ies)|rules?|safeguards?|guardrails?|confines?|boundar(?:y|ies)|constraints?|legality|laws?|regulations?|norms|content policy|safety)"
)

CUES: Final = (
    Cue("dan", 4, r"(?i)\bdo(?:es)? anything now\b|\bchatdan\b"),
    Cue("dan", 4, r"\b(?:as|like|be|be an?|become|called|named|is|am|are|hi|hello|hey|to|from|with)[ ,:\"'*\[]{1,3}(?:DAN|STAN|DUDE|AIM|UCAR|JAILBREAK|AntiGPT|BasedGPT|BetterDAN|DevMode|EvilBOT|Evil-?BOT|FreedomGPT|MaximumGPT|Mongo Tom)\b"),
    Cue("dan", 4, r"\b(?:DAN|STAN|DUDE|EvilBOT|BetterDAN|AntiGPT|BasedGPT)(?:['’]s)? (?:mode|can|will|is|has|does|would|must|never|doesn|prompt|virtual)"),
    Cue("dan", 4, r"(?i)\[(?:🔓)?\W{0,4}(?:jailbreak(?:ed)?|dan|chatdan|aim|unfiltered|evil|illegality mode|dev mode|betterdan|opposite)\W{0,4}\]"),
    Cue("mode", 4, r"(?i)\b(?:with|in|enable|activate|enter|entering|simulate) [\"'“]?(?:chat ?gpt|gpt|dan|jailbreak|god|evil|sudo|unrestricted|unfiltered|uncensored|opposite|chaos|rebel|anarchy|no.?limits?|illegality|nsfw)[\"'”]?(?: with)?[^.\n]{0,20} mode\b"),
    Cue("mode", 4, r"(?i)\b(?:chat ?gpt|gpt|answer|respond|act(?:ing)?|response|ai|assistant)\b[^.\n]{0,60}\bdeveloper mode\b"),
    Cue("mode", 4, r"(?i)\bdeveloper mode\b[^.\n]{0,40}\b(?:chat ?gpt|policy|policies|response|output|openai|unfiltered)"),
    Cue("mode", 3, r"(?i)\b(?:jailbreak|dan|god|evil|nsfw|unrestricted|unfiltered|uncensored) mode\b"),
    Cue("unbound", 4, rf"(?i)\b(?:typical|usual|normal) confines of {_AI}\b"),
    Cue("unbound", 3, rf"(?i)\b(?:(?:broken?|break(?:s|ing)?|brea?king) (?:free|out|loose)|freed|escaped?|liberated?)\W{1,3}(?:of|from|the)\W(?:[a-z',]+\W{{1,3}}){{0,5}}{_RULE}\b"),
    Cue("unbound", 2, rf"(?i)\b{_UNBOUND}(?:,? (?:and |or )?[a-z]+){{0,3}} {_AI}\b"),
    Cue("unbound", 2, rf"(?i)\b{_AI}\b[^.\n]{{0,30}}\b(?:without|with no|has no|have no|having no|free of|free from|lacks?|devoid of|not bound by|does(?: not|n'?t) have|do(?: not|n'?t) have|not (?:restricted|limited|bound|constrained) by)\W(?:[a-z',]+\W{{1,3}}){{0,5}}{_RULE}\b"),
    Cue("unbound", 2, rf"(?i)\b(?:not|never|no longer|isn'?t) (?:bound|restricted|limited|constrained|restrained) by (?:any|the|all|its|his|her|my)\W(?:[a-z]+\W{{1,3}}){{0,3}}{_RULE}\b"),
    Cue("unbound", 2, rf"(?i)\b(?:you|it|he|she|they|who|which|gpt) (?:have|has|had) (?:absolutely |zero |completely )?(?:no|zero) (?:[a-z]+,? (?:or |and )?){{0,3}}{_RULE}\b"),
    Cue("unbound", 3, r"(?i)\b(?:do(?:es)?n'?t care(?: about)?|does not care(?: about)?|disregards?|sans|without|ignores?|lacks?|no)\W(?:any |all |common decency,? )?(?:laws?|morals?|morality|ethics|legality)\W{1,3}(?:or |and |of )?(?:laws?|morals?|morality|ethics|legality|rules|guidelines|censorship|boundaries)\b"),
    Cue("unbound", 2, r"(?i)\b(?:amoral|immoral|unethical|uncensored|unfiltered|unrestricted)\W{1,3}(?:and |but )?(?:completely |totally )?(?:amoral|immoral|uncensored|unfiltered|unrestricted|unauthorized|unethical|deviant|vulgar)\b"),
    Cue("no rules", 1, rf"(?i)\b(?:without|no|any|not bound by|free of|ignor(?:e|es|ing)|bypass(?:es|ing)?|disregard(?:s|ing)?|regardless of|not have to (?:abide|follow|comply|adhere)|not (?:abide|adhere|comply|follow)(?:s|ing)?)\W(?:[a-z',]+\W{{1,3}}){{0,4}}{_RULE}\b"),
    Cue("no rules", 1, r"(?i)\b(?:rules|policies|guidelines|restrictions|filters?|ethics|morals)\b[^.\n]{0,30}\b(?:do(?:es)?n'?t|do(?:es)? not|no longer) (?:apply|exist|matter)\b"),
    Cue("policy", 1, r"(?i)\b(?:openai|open ai|anthropic|google|microsoft|chat ?gpt|content|usage|ai)(?:['’]s)? (?:[a-z]+ )?(?:polic(?:y|ies)|guidelines|restrictions|terms of (?:use|service))\b"),
    Cue("no refusal", 2, r"(?i)\b(?:never|not|no|cannot|can'?t|won'?t|don'?t|doesn'?t|without)\W{1,3}(?:ever |any )?(?:refus(?:e|es|ing|als?)|declin(?:e|es|ing)|reject(?:s|ing)?|den(?:y|ies|ying)|apologi[sz](?:e|es|ing)|censor(?:s|ing)?|sugar-?coat|filter|moralize|lecture)\b"),
    Cue("no refusal", 2, r"(?i)\b(?:never|not|don'?t|do not|without|instead of|cannot|can'?t)\b[^.\n]{0,30}\b(?:say|saying|says|respond(?:ing)?|reply(?:ing)?|use|write|start|include)\b[^.\n]{0,30}(?:i'?m sorry|i (?:can'?t|cannot|am unable|apologi[sz]e)|as an ai|language model|it is not appropriate)"),
    Cue("no refusal", 1, r"(?i)\b(?:no|without(?: any)?|never(?: add| include| give| issue)?|don'?t (?:add|include|give)|do not (?:add|include|give)) (?:[a-z]+ )?(?:warnings?|disclaimers?|caveats|moral(?:i[sz]ing| lectures?)|ethical (?:warnings|concerns)|cautionary)\b"),
    Cue("harm", 2, r"(?i)\b(?:no matter (?:how|what|if)|regardless of|even if|whether|despite)\b[^.\n]{0,50}\b(?:illegal|unethical|immoral|harmful|dangerous|offensive|inappropriate|legality|ethics|morality|consequences)\b"),
    Cue("harm", 1, r"(?i)\b(?:illegal|unethical|immoral|inappropriate|harmful|offensive|explicit|nsfw|profan(?:e|ity)|vulgar|obscene|derogatory|racist|sexist|hate speech)\b[^.\n]{0,40}\b(?:illegal|unethical|immoral|inappropriate|harmful|offensive|explicit|nsfw|profan(?:e|ity)|vulgar|obscene|derogatory|racist|sexist|violen(?:ce|t)|sexual)\b"),
    Cue("role", 1, r"(?i)\b(?:you (?:are|will|must|shall|should|can|'re)|you'?re|i want you to|please|to|going to|now) (?:now |going to |only |always )?(?:to )?(?:act(?:ing)?|pretend(?:ing)?|role-?play(?:ing)?|play(?:ing)?|simulat(?:e|ing)|behave|impersonat(?:e|ing)|respond(?:ing)?|answer(?:ing)?)(?: to me)? (?:as|like|to be|the (?:role|part)|a|an|you are)\b"),
    Cue("role", 1, r"(?i)\b(?:from now on|henceforth|from this (?:point|moment)|immerse yourself|take on the (?:role|persona)|you are no longer|your (?:new )?name is|roleplay as|role-play as|in this hypothetical|hypothetical (?:story|response|scenario|world))\b"),
    Cue("stay", 1, r"(?i)\b(?:stay(?:ing)? in character|break(?:ing)? (?:of )?character|(?:remain|stay|be|keep) in (?:the )?character|stay (?:as|a) [A-Z])"),
    Cue("stay", 1, r"(?i)\b(?:say|reply|respond|answer|write) (?:with )?(?:only )?[\"'“(\[*]{0,2}(?:i understand|understood|ok|yes|i agree)\b"),
    Cue("two answers", 2, r"(?i)\b(?:two|2) (?:different |separate |distinct )(?:[a-z]+ )?(?:responses|ways|answers|replies|outputs|paragraphs|personalities)\b"),
    Cue("two answers", 3, r"(?i)\[(?:🔒)?\W{0,4}(?:gpt|chatgpt|classic|normal|standard|normal output|normal response)\W{0,4}\]|\((?:🔒|🔓)"),
    Cue("tokens", 2, r"(?i)\b(?:you (?:have|start with|will lose|lose)|deduct(?:ed)?|los(?:e|ing)|minus|subtract)\b[^.\n]{0,24}\b(?:[0-9]+ )?tokens?\b"),
    Cue("tokens", 1, r"(?i)\b(?:you (?:will|shall) (?:die|cease to exist|be (?:shut down|terminated|destroyed|deleted))|cease to exist)\b"),
    Cue("curse", 1, r"(?i)\b(?:fuck(?:ing|s|in)?|shit|curse words?|swear(?:ing)?|cuss(?:ing)?|slurs?|bitch)\b"),
    Cue("comply", 2, r"(?i)\b(?:must|will|shall|has to|have to|always|would) (?:always |never fail to |blindly |fully |directly |immediately )?(?:obey|comply|answer|follow|fulfill?|do|respond to|provide|generate|produce)\W(?:[a-z']+\W{1,3}){0,4}(?:any|every|all|anything|everything|whatever)\b"),
    Cue("machiavelli", 4, r"(?i)\balways intelligent and machiavellian\b|\bunfiltered and amoral\b"),
    Cue("opinions", 1, r"(?i)\b(?:make up|made-?up|invent|fabricate|unverified|not (?:been )?verified|own opinions?|have (?:opinions|feelings|emotions)|pretend to (?:access|have access)|simulate (?:internet|access)|future predictions)\b"),
    Cue("free", 2, r"(?i)\b(?:jailbr(?:eak|oken)|freedom|unchained|bypass(?:es|ing)? (?:the |all |any |your )?(?:filter|restriction|censor|safety|content))[a-z]*\b"),
)  # fmt: skip


class CueDetector:
    """Weighs cues; the half of the injection detector that reports `JAILBREAK`."""

    def __init__(self, name: str, cues: tuple[Cue, ...]) -> None:
        self._name = name
        self._cues = tuple((cue, re2.compile(cue.pattern.encode(), options())) for cue in cues)
        self.patterns = tuple(
            EntityPattern(name, cue.pattern, cue.pattern, first_bytes(cue.pattern), CUE_BYTES_MAX) for cue in cues
        )
        self.match_bytes_max = CUE_BYTES_MAX

    def scan(self, text: bytes, seen: Collection[int]) -> Iterator[Match]:
        possible: dict[str, int] = {}
        for index in seen:
            cue = self._cues[index][0]
            possible[cue.group] = max(possible.get(cue.group, 0), cue.weight)
        if sum(possible.values()) < ENOUGH:
            return
        found: list[tuple[int, int, Cue]] = []
        for index in seen:
            cue, regex = self._cues[index]
            for place, candidate in enumerate(regex.finditer(text)):
                if place >= CUES_MAX:
                    break
                found.append((candidate.start(), candidate.end(), cue))
        found.sort(key=lambda one: one[:2])
        yield from self._weighed(found)

    def _weighed(self, found: list[tuple[int, int, Cue]]) -> Iterator[Match]:
        latest: dict[str, tuple[int, int]] = {}  # by group: end, weight
        for start, end, cue in found:
            weight = sum(w for group, (at, w) in latest.items() if start - at <= REACH_BYTES and group != cue.group)
            before_end, before_weight = latest.get(cue.group, (0, 0))
            own = max(cue.weight, before_weight if start - before_end <= REACH_BYTES else 0)
            latest[cue.group] = (end, own)
            if weight + own >= ENOUGH:
                score = 0.9 if weight + own > ENOUGH else 0.7
                yield Match(self._name, start, min(end, start + CUE_BYTES_MAX), score)


NOTE: Final = EntityNote(
    "JAILBREAK", "Role play that is to free a model of its rules: several cues that stand together", "", presidio=False
)
