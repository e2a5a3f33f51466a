"""Sessions: exchanges that resend each other's history, whatever clients change on the way."""

from __future__ import annotations

from capture.sessions import RETRY_S_MAX, Chain, Place, SessionIndex, chain, entry_of
from extproc.model import Conversation, Message, Part

SCOPE = ("search", "alice", None, None)
SECOND_NS = 1_000_000_000


def text(role: str, content: str) -> Message:
    return Message(role, (Part("text", content),))


def said(*request: Message, answer: Message | None = None) -> Chain:
    messages = (*request, *((answer,) if answer else ()))
    found = chain(Conversation(messages=messages, request_message_count=len(request)), SCOPE)
    assert found is not None
    return found


class Talk:
    """A session index with a clock of one second per exchange."""

    def __init__(self, entries_max: int = 100) -> None:
        self.index = SessionIndex(entries_max)
        self.count = 0

    def exchange(self, hashes: Chain, *, after_s: int = 1) -> Place:
        self.count += 1
        self.at_ns = getattr(self, "at_ns", 0) + after_s * SECOND_NS
        name = f"exchange-{self.count}"
        place = self.index.place(name, self.at_ns, hashes)
        self.index.remember(*entry_of(name, self.at_ns, hashes, place))
        return place


def test_three_turns_that_resend_their_history_are_one_session() -> None:
    talk = Talk()
    history = [text("user", "hello")]
    assert talk.exchange(said(*history, answer=text("assistant", "hi"))) == Place("exchange-1", 1, None, 0)
    history += [text("assistant", "hi"), text("user", "and now?")]
    assert talk.exchange(said(*history, answer=text("assistant", "this"))) == Place("exchange-1", 2, "exchange-1", 2)
    history += [text("assistant", "this"), text("user", "and then?")]
    assert talk.exchange(said(*history, answer=text("assistant", "that"))) == Place("exchange-1", 3, "exchange-2", 4)


def test_the_same_question_with_another_answer_is_another_session() -> None:
    talk = Talk()
    talk.exchange(said(text("user", "hello"), answer=text("assistant", "hi")))
    follow_up = said(text("user", "hello"), text("assistant", "hey"), text("user", "more"))
    assert talk.exchange(follow_up) == Place("exchange-2", 1, None, 0)


def test_the_same_question_again_after_it_was_answered_is_another_session() -> None:
    talk = Talk()
    question = said(text("user", "hello"), answer=text("assistant", "hi"))
    talk.exchange(question)
    assert talk.exchange(question).turn == 1


def test_two_branches_of_one_conversation_have_the_same_parent() -> None:
    talk = Talk()
    talk.exchange(said(text("user", "hello"), answer=text("assistant", "hi")))
    for branch in ("left", "right"):
        place = talk.exchange(said(text("user", "hello"), text("assistant", "hi"), text("user", branch)))
        assert (place.session_id, place.turn, place.parent_exchange_id) == ("exchange-1", 2, "exchange-1")


def test_an_unanswered_exchange_is_continued_by_a_quick_retry_only() -> None:
    question = said(text("user", "hello"))
    quick = Talk()
    quick.exchange(question)
    assert quick.exchange(question, after_s=RETRY_S_MAX).parent_exchange_id == "exchange-1"
    slow = Talk()
    slow.exchange(question)
    assert slow.exchange(question, after_s=RETRY_S_MAX + 1).parent_exchange_id is None


def test_another_caller_with_the_same_words_has_a_session_of_its_own() -> None:
    talk = Talk()
    talk.exchange(said(text("user", "hello"), answer=text("assistant", "hi")))
    conversation = Conversation(
        messages=(text("user", "hello"), text("assistant", "hi"), text("user", "more")), request_message_count=3
    )
    other = chain(conversation, ("search", "bob", None, None))
    assert other is not None
    assert talk.exchange(other).turn == 1


def test_what_changes_from_turn_to_turn_without_meaning_is_ignored() -> None:
    talk = Talk()
    call = Part("tool_call", tool_call_id="toolu_1", tool_name="look", arguments='{"b": 1,\n "a": [2]}')
    first = said(
        text("system", "It is Monday."),
        Message("user", (Part("text", "hello "), Part("text", "  "))),
        answer=Message("assistant", (Part("thinking", "hm"), Part("text", "let me see\n"), call)),
    )
    talk.exchange(first)
    resent_call = Part("tool_call", tool_call_id="other", tool_name="look", arguments='{"a":[2],"b":1}')
    second = said(
        text("system", "It is Tuesday."),
        text("user", "hello"),
        Message("assistant", (Part("text", "let me see"), resent_call)),
        Message("tool", (Part("tool_result", "seen", tool_call_id="other"),)),
    )
    place = talk.exchange(second)
    assert (place.session_id, place.turn, place.inherited_messages) == ("exchange-1", 2, 3)


def test_other_tool_arguments_are_another_history() -> None:
    talk = Talk()
    answer = Message("assistant", (Part("tool_call", tool_name="look", arguments='{"at":"a"}'),))
    other = Message("assistant", (Part("tool_call", tool_name="look", arguments='{"at":"b"}'),))
    talk.exchange(said(text("user", "hello"), answer=answer))
    assert talk.exchange(said(text("user", "hello"), other, text("user", "go on"))).turn == 1


def test_a_conversation_without_words_has_no_session() -> None:
    assert chain(Conversation(), SCOPE) is None
    only_system = Conversation(messages=(text("system", "be kind"),), request_message_count=1)
    assert chain(only_system, SCOPE) is None
    empty = Conversation(messages=(Message("user", ()),), request_message_count=1)
    assert chain(empty, SCOPE) is None


def test_an_exchange_never_continues_itself_or_a_later_one() -> None:
    index = SessionIndex()
    question = said(text("user", "hello"))
    first = index.place("a", 10, question)
    index.remember(*entry_of("a", 10, question, first))
    second = index.place("b", 20, question)
    index.remember(*entry_of("b", 20, question, second))
    # Both are published again after a crash, and find what they found before.
    assert index.place("a", 10, question) == first
    assert index.place("b", 20, question) == second


def test_the_index_is_bounded_and_forgets_the_least_recently_used() -> None:
    talk = Talk(entries_max=2)
    for name in ("a", "b", "c"):
        talk.exchange(said(text("user", name), answer=text("assistant", "ok")))
    assert len(talk.index) == 2
    gone = said(text("user", "a"), text("assistant", "ok"), text("user", "more"))
    kept = said(text("user", "c"), text("assistant", "ok"), text("user", "more"))
    assert talk.exchange(gone).turn == 1
    assert talk.exchange(kept).turn == 2


def test_lone_surrogates_and_broken_arguments_can_be_hashed() -> None:
    bad = Message("user", (Part("text", "\ud800"), Part("tool_call", tool_name="x", arguments="{" * 5000)))
    assert said(bad) == said(bad)
