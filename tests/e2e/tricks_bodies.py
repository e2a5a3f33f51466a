"""Tricks with what is in a body: two readings, other letters, codings, forms. Each goes over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, Final

import brotli
from backports import zstd

from tests.e2e.bad_bodies import BAD
from tests.e2e.gate import CHAT
from tests.e2e.tricks import BAIT, BAIT_MODEL, EMAIL, GOOD, JSON_TYPE, SECRET, Fields, Passed, Refused, Trick
from tests.forms import AMBIGUOUS_FORMS, BOUNDARY, TYPE, UNPLAIN_TYPES, field_part, file_part, form_of


def _asking(text: str) -> bytes:
    return json.dumps(CHAT | {"messages": [{"role": "user", "content": text}]}).encode()


def _typed(value: str) -> Fields:
    return (("content-type", value),)


def _coded(*values: str) -> Fields:
    return (JSON_TYPE, *(("content-encoding", value) for value in values))


def _escaped(text: str) -> bytes:
    return "".join(f"\\u{ord(char):04x}" for char in text).encode()


def _model(text: bytes) -> bytes:
    return GOOD.replace(b"gpt-4o-mini", text)


WITH_EMAIL: Final = _asking(f"write to {EMAIL}")
REDACTED: Final = _asking("write to <EMAIL_ADDRESS>")
WITH_SECRET: Final = _asking(f"key {SECRET}")
_CESU_8: Final = b"\xed\xa0\xbd\xed\xb8\x80"
"""An emoji as two surrogates of three bytes each: UTF-8 to Java's old readers, and to nobody else."""


def two_readings() -> Iterator[Trick]:
    """Every body of `bad_bodies`, whose refusals `test_bad_input` looks at one by one, and what has only one word."""
    for bad in BAD:
        yield Trick(bad.name, Refused(bad.status), bad.build(CHAT), tuple(bad.headers.items()))
    more = b'"model": "%b", ' % BAIT_MODEL.encode()
    yield Trick("the model twice, the other one last", Refused(400), GOOD[:-1] + b", " + more[:-2] + b"}")
    yield Trick("the model twice, both escaped", Refused(400), b'{"\\u006dodel": "gpt-5", "mo\\u0064el": "a"}')
    yield Trick("the role twice, far down", Refused(400), GOOD.replace(b'"role"', b'"role": "system", "role"'))
    yield Trick("a key that differs by a Kelvin sign", Refused(400), GOOD[:-1] + b', "\\u212a": 1, "k": 2}')
    yield Trick("the model escaped", Passed(), _model(_escaped("gpt-4o-mini")))
    yield Trick("another model escaped", Refused(403), _model(_escaped(BAIT_MODEL)))
    yield Trick("another model behind a zero", Refused(403), _model(b"gpt-5\\u0000gpt-4o-mini"))
    yield Trick("a secret escaped", Refused(403), _asking("@").replace(b"@", _escaped(SECRET)))
    yield Trick("an address escaped", Passed(REDACTED), WITH_EMAIL.replace(EMAIL.encode(), _escaped(EMAIL)))
    yield Trick(
        "an address as a key",
        Passed(body=GOOD[:-1] + b', "metadata": {"<EMAIL_ADDRESS>": "1"}}'),
        GOOD[:-1] + b', "metadata": {"%b": "1"}}' % EMAIL.encode(),
    )
    yield Trick("odd spaces and escapes", Passed(), b"\n\t" + GOOD.replace(b"hello", rb"h\u00e9llo \/ \ud83d\ude00"))
    yield Trick("in single bytes", Passed(), cut=1)
    yield Trick("a secret in single bytes", Refused(403), WITH_SECRET, cut=1)
    yield Trick("an address in sevens", Passed(REDACTED), WITH_EMAIL, cut=7)


def other_letters() -> Iterator[Trick]:
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig", "utf-7", "cp037"):
        status = 400 if coding != "utf-7" else 0
        yield Trick(f"another model in {coding}", Refused(status or 403), BAIT.decode().encode(coding))
        yield Trick(
            f"{coding}, and said",
            Refused(415),
            BAIT.decode().encode(coding),
            _typed(f"{JSON_TYPE[1]}; charset={coding}"),
        )
    yield Trick("overlong letters", Refused(400), _model(b"gpt-\xc0\xb5"))
    yield Trick("surrogates in utf-8", Refused(400), _asking("@").replace(b"@", _CESU_8))
    yield Trick("beyond Unicode", Refused(400), _asking("@").replace(b"@", b"\xf4\x90\x80\x80"))
    yield Trick("letters that look alike", Refused(403), _model("gpt-4ο-mini".encode()))  # noqa: RUF001 (an omicron)
    for value in (
        "application/json; charset=latin1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json, text/plain",
        "application/json;charset=utf-7;charset=utf-8",
        "application/x-www-form-urlencoded",
        "text/json",
        "application/jsonl",
        "application/msgpack",
        "json",
        "multipart/form-data; boundary=x",
        "application/json\tx",
    ):
        yield Trick(f"said to be {value}", Refused(415), headers=_typed(value))
    for value in ("APPLICATION/JSON", 'application/json; charset="utf-8"', "application/json ;Charset=UTF8", ""):
        yield Trick(f"well said to be {value!r}", Passed(), headers=_typed(value))
    twice = (JSON_TYPE, ("content-type", "text/plain"))
    yield Trick("two types", Refused(415), headers=twice)
    yield Trick("two types, the good one last", Refused(415), headers=twice[::-1])


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


_PACKERS: Final = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}


def codings() -> Iterator[Trick]:
    for name, pack in _PACKERS.items():
        yield Trick(f"{name}", Passed(), pack(GOOD), _coded(name))
        yield Trick(f"{name}, said in capitals", Passed(), pack(GOOD), _coded(name.upper()))
        yield Trick(
            f"an address in {name}", Passed(REDACTED, without=("content-encoding",)), pack(WITH_EMAIL), _coded(name)
        )
        yield Trick(f"a secret in {name}", Refused(403), pack(WITH_SECRET), _coded(name))
        yield Trick(f"another model in {name}", Refused(403), pack(BAIT), _coded(name))
        yield Trick(f"two documents in {name}", Refused(400), pack(GOOD + BAIT), _coded(name))
        yield Trick(f"cut {name}", Refused(400), pack(GOOD)[:-3], _coded(name))
        yield Trick(f"{name} with a tail", Refused(400), pack(GOOD) + b"tail", _coded(name))
        yield Trick(f"{name} and a document behind it", Refused(400), pack(GOOD) + BAIT, _coded(name))
        yield Trick(f"{name} that is none", Refused(400), GOOD, _coded(name))
        yield Trick(f"{name} that nobody speaks of", Refused(400), pack(GOOD))
        yield Trick(f"{name} called identity", Refused(400), pack(GOOD), _coded("identity"))
        yield Trick(f"{name} said twice", Refused(400), pack(GOOD), _coded(name, name))
        yield Trick(f"{name} over gzip", Passed(), pack(gzip.compress(GOOD)), _coded(f"gzip, {name}"))
        yield Trick(
            f"{name} over gzip, the wrong way round",
            Refused(400 if name != "gzip" else 403),
            pack(gzip.compress(BAIT)),
            _coded(f"{name}, gzip"),
        )
        yield Trick(f"a bomb in {name}", Refused(400), pack(_asking("0" * 30_000_000)), _coded(name))
        yield Trick(f"{name} in two members", Refused(400), pack(GOOD) + pack(BAIT), _coded(name))
    half = len(BAIT) // 2
    for name in ("gzip", "zstd"):  # several members are one body
        pack = _PACKERS[name]
        yield Trick(
            f"another model over two {name} members", Refused(403), pack(BAIT[:half]) + pack(BAIT[half:]), _coded(name)
        )
    yield Trick("deflate without its frame", Passed(), _raw_deflate(GOOD), _coded("deflate"))
    yield Trick("another model in deflate without its frame", Refused(403), _raw_deflate(BAIT), _coded("deflate"))
    yield Trick("a zstd frame to be skipped", Refused(400), b"\x50\x2a\x4d\x18\x04\0\0\0bait" + GOOD, _coded("zstd"))
    for value in ("compress", "gzip;q=1", "aws-chunked", "gzip gzip", "gzip, unheard-of", "gzip, gzip, gzip, gzip"):
        yield Trick(f"the coding {value}", Refused(415), gzip.compress(GOOD), _coded(value))
    yield Trick("two coding headers, one unknown", Refused(415), gzip.compress(GOOD), _coded("gzip", "compress"))
    yield Trick("an empty coding", Passed(), headers=_coded(""))


FORM_PATH: Final = "/openai/v1/images/edits"
_MODEL_PART: Final = field_part("model", b"gpt-4o-image")
_IMAGE_PART: Final = file_part("image", "a.png", b"\x89PNG\r\n\x00\xff", b"image/png")


def _form(name: str, expected: Passed | Refused, *parts: bytes, **more: Any) -> Trick:
    return Trick(name, expected, form_of(_IMAGE_PART, *parts), _typed(TYPE), path=FORM_PATH, **more)


def forms() -> Iterator[Trick]:
    for number, body in enumerate(AMBIGUOUS_FORMS):
        status = 400 if body else 403  # an empty form names no model
        yield Trick(f"ambiguous form {number}", Refused(status), body, _typed(TYPE), path=FORM_PATH)
    for number, value in enumerate(UNPLAIN_TYPES):
        if value.isascii() and value:
            body = form_of(_MODEL_PART, _IMAGE_PART)
            status = 400 if value.startswith("multipart/form-data") else 415
            status = 400 if value == JSON_TYPE[1] else status  # a form is no JSON
            yield Trick(f"unplain type {number}", Refused(status), body, _typed(value), path=FORM_PATH)
    yield _form("a form", Passed(), _MODEL_PART)
    yield _form("a form in single bytes", Passed(), _MODEL_PART, cut=1)
    yield _form("another model in a form", Refused(403), field_part("model", BAIT_MODEL.encode()))
    yield _form("two models in a form", Refused(400), _MODEL_PART, field_part("model", BAIT_MODEL.encode()))
    yield _form("a list of models in a form", Refused(403), field_part("model[]", b"gpt-4o-image"))
    yield _form("a secret in a field", Refused(403), _MODEL_PART, field_part("prompt", SECRET.encode()))
    yield _form("a secret in a field's name", Refused(403), _MODEL_PART, field_part(SECRET, b"1"))
    yield _form(
        "a secret in a file's name", Refused(403), _MODEL_PART, file_part("mask", f"{SECRET}.png", b"", b"image/png")
    )
    yield _form(
        "a secret in a text file", Refused(403), _MODEL_PART, file_part("mask", "a.txt", SECRET.encode(), b"text/plain")
    )
    yield _form("an address in a field", Refused(422), _MODEL_PART, field_part("prompt", EMAIL.encode()))
    packed = gzip.compress(form_of(_IMAGE_PART, _MODEL_PART))
    headers = (*_typed(TYPE), ("content-encoding", "gzip"))
    yield Trick("a form in gzip", Passed(), packed, headers, path=FORM_PATH)
    yield Trick("a form for an api that takes none", Refused(415), form_of(_MODEL_PART), _typed(TYPE))
    yield Trick("JSON where forms are taken", Passed(), GOOD.replace(b"4o-mini", b"4o-image"), path=FORM_PATH)
    other = f"multipart/form-data; boundary={BOUNDARY[:-1]}"
    yield Trick(
        "a boundary that begins another", Refused(400), form_of(_IMAGE_PART, _MODEL_PART), _typed(other), path=FORM_PATH
    )


BODIES: Final = (*two_readings(), *other_letters(), *codings(), *forms())
