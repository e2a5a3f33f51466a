"""Replay asks what the request path asked, byte for byte: for every recording, out of the row and out of kept text."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from extproc.model import Action, CaptureLevel, Decision, Limits, Mode, Obligations
from extproc.rehearsal.archived import Archived, Wanted, recorded, with_text
from extproc.rehearsal.changes import Question
from extproc.rehearsal.reinspection import asked_today
from tests.codecs.support import Recording, corpus_recordings, own_recordings
from tests.rehearsal.past import Asked, archive, judged

ALL = Wanted(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
KEEP = Decision(Action.ALLOW, obligations=Obligations(CaptureLevel.FULL))


def decide(_document: bytes) -> Decision:
    return KEEP


def _ask(recordings: list[Recording], folder: Path) -> tuple[list[bytes], list[Archived], list[Archived]]:
    asked = [
        Asked(recording.request_body, call=recording.call, mode=mode)
        for recording in recordings
        for mode in (Mode.ENFORCE, Mode.SHADOW)
    ]
    told = [judged(one, number, decide) for number, one in enumerate(asked, start=1)]
    archive_dir = archive(folder, [frames for frames, _ in told])
    rows = [sorted(read(archive_dir, ALL), key=lambda row: row.exchange_id) for read in (recorded, with_text)]
    return [document for _, document in told], *rows


def _check(recordings: list[Recording], folder: Path) -> None:
    documents, plain, texts = _ask(recordings, folder)
    assert len(plain) == len(texts) == len(documents)
    for document, row, with_body in zip(documents, plain, texts, strict=True):
        assert row.question is not None
        assert row.question.document == document
        today = asked_today(with_body, Limits())
        assert isinstance(today, Question)
        assert today.document == document
        assert today == with_body.question == row.question


def test_every_recording_is_asked_about_as_it_was(tmp_path: Path) -> None:
    recordings = [Recording(folder) for folder in own_recordings()]
    assert len(recordings) > 100
    _check(recordings, tmp_path)


def test_every_exchange_of_the_corpus_is_asked_about_as_it_was(tmp_path: Path) -> None:
    recordings = [r for r in corpus_recordings() if len(r.request_body) <= 1024 * 1024]
    if not recordings:
        pytest.skip("needs HEADGATE_CORPUS")
    _check(recordings, tmp_path)
