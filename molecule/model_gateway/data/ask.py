#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send bodies to a gateway, made up by the thousand, and compare where each went with what a server reads in it.

    ask.py table PORT KEY NUMBER     for each kind of body how many were answered, and how many refused, as JSON
    ask.py stream PORT KEY EVENTS    one stream, its events counted, as JSON
    ask.py many PORT KEY NUMBER      so many requests for the model chat at once; how often which status, as JSON

Exits with status 1 when one body was answered by a server that reads another model in it than the gateway did.
"""

from __future__ import annotations

import collections
import concurrent.futures
import http.client
import json
import random
import ssl
import sys
import threading
import typing as t

SERVED = ("plain", "org/größe-7B")
TEXTS = ("hello", 'say "model": "plain"', '{"model": "plain"}', "größe \\ / \n", "}{][", "\U0001f600", "\\u006d")
LIMIT, CLIENTS = 256 * 1024, 8
_counting = threading.Lock()


def escaped(random_: random.Random, text: str) -> str:
    """The same text as JSON, some of its signs as escapes."""
    whole = json.dumps(text, ensure_ascii=random_.random() < 0.5)
    return (
        "".join(f"\\u{ord(sign):04x}" if sign.isalpha() and random_.random() < 0.1 else sign for sign in whole)
        if "\\" not in whole
        else whole
    )


def value(random_: random.Random, depth: int = 0) -> str:
    kind = random_.randrange(7 if depth < 3 else 4)
    if kind < 4:
        return (json.dumps(random_.choice(TEXTS)), "17", "-0.5e3", "null")[kind]
    items = [value(random_, depth + 1) for _ in range(random_.randrange(4))]
    if kind == 4:
        return f"[{', '.join(items)}]"
    keys = ("model", "content", "Model", "\\u006dodel", "x")
    return "{" + ",".join(f'"{random_.choice(keys)}" : {item}' for item in items) + "}"


def body(random_: random.Random) -> tuple[str, bytes]:
    """A kind of body, and one of them."""
    model = random_.choice((*SERVED, "unknown"))
    named = f'"model":{random_.choice(("", " "))}{escaped(random_, model)}'
    others = [f'"k{number}": {value(random_)}' for number in range(random_.randrange(5))]
    kind = random_.choice(
        (
            "early",
            "late",
            "between",
            "twice",
            "case",
            "escaped key",
            "number",
            "missing",
            "nested",
            "broken",
            "cut",
            "more after",
            "no object",
            "long",
            "too long",
            "utf-16",
        )
    )
    fields = [named, *others]
    if kind == "late":
        fields = [*others, named]
    elif kind in ("between", "broken", "cut", "more after", "utf-16"):
        random_.shuffle(fields)
    elif kind == "twice":
        fields.insert(random_.randrange(len(fields) + 1), f'"model": {json.dumps(random_.choice(SERVED))}')
    elif kind == "case":
        fields = [*others, named.replace('"model"', random_.choice(('"Model"', '"MODEL"')), 1)]
    elif kind == "escaped key":
        fields = [*others, named.replace('"model"', '"mod\\u0065l"', 1)]
    elif kind == "number":
        fields = [*others, '"model": 5']
    elif kind == "missing":
        fields = others
    elif kind == "nested":
        fields = [*others, '"tools": [{"properties": {"model": {"type": "string"}}}]', named]
    elif kind == "long":
        fields = [*others, f'"prompt": "{"x" * random_.randrange(20000, 200000)}"', named]
    elif kind == "too long":
        fields = [f'"prompt": "{"x" * random_.choice((LIMIT + 40000, 1024 * 1024))}"', named]
    text = "{" + random_.choice((",", " ,\n")).join(fields) + "}"
    if kind == "broken":
        text = text.replace(":", random_.choice((";", "")), 1)
    elif kind == "cut":
        text = text[: random_.randrange(1, len(text))]
    elif kind == "more after":
        text += random_.choice(("]", "}", "{}", " 1", ',"model":"plain"'))
    elif kind == "no object":
        text = random_.choice(("[]", "1", '"model"', "", f"[{text}]"))
    return kind, text.encode("utf-16" if kind == "utf-16" else "utf-8")


def connection(port: int) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile="/opt/gateway.pem")
    context.check_hostname = False  # its name is none of this host
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=context)


class Found:
    """How often each kind of body had which answer, and ``wrong``: what went elsewhere, or is no answer."""

    def __init__(self) -> None:
        self.answers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.wrong: list[t.Any] = []


def table(port: int, key: str, number: int) -> int:
    """Several clients at once, each over a connection that it keeps."""
    found = Found()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        shares = [number // CLIENTS + (place < number % CLIENTS) for place in range(CLIENTS)]
        list(clients.map(lambda place: send(port, key, place, shares[place], found), range(CLIENTS)))
    answers = {kind: dict(found.answers[kind]) for kind in sorted(found.answers)}
    print(json.dumps({"table": answers, "wrong": found.wrong[:5]}))
    return 1 if found.wrong else 0


def send(port: int, key: str, place: int, number: int, found: Found) -> None:
    random_ = random.Random(20261129 + place)
    to = connection(port)
    for _ in range(number):
        kind, sent = body(random_)
        chunked = random_.random() < 0.2
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        parts = [sent[:10], sent[10:]] if chunked else sent
        path = random_.choice(("/v1/chat/completions", "/v1/completions"))
        try:
            to.request("POST", path, parts, headers, encode_chunked=chunked)  # type: ignore[arg-type]
            answer = to.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            # It was refused before all of it was sent.
            count(found, kind, "cut off")
            to.close()
            continue
        count(found, kind, str(answer.status))
        if answer.status == 200 and not right(sent, said):
            found.wrong.append([kind, sent.decode("utf-8", "replace")[:300], said])
        if answer.status >= 500:
            found.wrong.append([kind, answer.status, said])
    to.close()


def count(found: Found, kind: str, answer: str) -> None:
    with _counting:
        found.answers[kind][answer] += 1


def right(sent: bytes, said: dict[str, t.Any]) -> bool:
    """Whether the server has what it reads. One that cannot read the body would refuse it, which this one does not."""
    try:
        model = json.loads(sent)["model"]
    except ValueError:
        return True
    return bool(model == said["model"] and (said["server"] == "three") == (model == SERVED[1]))


def stream(port: int, key: str, events: int) -> int:
    to = connection(port)
    asked = {"model": "plain", "stream": True, "max_tokens": events, "prompt": "x"}
    asked["stream_options"] = {"include_usage": True}
    to.request("POST", "/v1/completions", json.dumps(asked), {"Authorization": f"Bearer {key}"})
    answer = to.getresponse()
    lines = [line.removeprefix("data: ") for line in answer.read().decode().splitlines() if line]
    parts = [json.loads(line) for line in lines if line != "[DONE]"]
    said = [part["choices"][0] for part in parts if part["choices"]]
    whole = len(said) == events and lines[-1] == "[DONE]" and said[-1]["finish_reason"] == "length"
    print(json.dumps({"status": answer.status, "events": len(said), "whole": whole}))
    return 0 if whole else 1


def many(port: int, key: str, number: int) -> int:
    def one(_number: int) -> int:
        to, asked = connection(port), {"model": "chat", "prompt": "x", "max_tokens": 30, "ignore_eos": True}
        to.request("POST", "/v1/completions", json.dumps(asked), {"Authorization": f"Bearer {key}"})
        return to.getresponse().status

    with concurrent.futures.ThreadPoolExecutor(number) as clients:
        print(json.dumps(collections.Counter(clients.map(one, range(number)))))
    return 0


if __name__ == "__main__":
    sys.exit(
        {"table": table, "stream": stream, "many": many}[sys.argv[1]](int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    )
