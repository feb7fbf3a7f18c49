# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks fakes of model servers for text, and says what comes of it."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http import Response, Unreachable
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import Answer, NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.ask import ask
from ansible_collections.mlops.hosts.plugins.module_utils._inference.completion import _missed
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question, read_api_key
from ansible_collections.mlops.hosts.plugins.module_utils._inference.wait import wait_for_answer

from .support import (
    CHAT,
    COMPLETIONS,
    FETCHES,
    KEY,
    LOADING,
    MODELS,
    OK,
    FakeTime,
    piece,
    recorded,
    refusal,
    status,
    stream,
    usage,
    wait,
)

# a good answer


def test_streamed_answer_is_counted_by_the_server(server):
    server.routes[CHAT], server.key = [OK], KEY
    answer = ask(FETCHES["used"](), Question(server.url, prompt="Hello?", max_tokens=4, api_key=KEY), timeout_s=5)
    assert (answer.model, answer.text, answer.tokens, answer.finish_reason) == ("tiny", "Hi you", 3, "stop")
    assert server.asked() == [MODELS, CHAT, CHAT, CHAT]
    _path, asked, headers = server.requests[1]
    assert asked == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hello?"}],
        "max_tokens": 4,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_a_named_model_costs_one_request(server):
    server.routes[CHAT] = [OK]
    ask(FETCHES["used"](), Question(server.url, model="tiny"), timeout_s=5)
    assert server.asked() == [CHAT]


@pytest.mark.parametrize(
    ("reply", "text", "tokens", "finish_reason"),
    [
        pytest.param(stream(piece("a"), piece("b")), "ab", 2, None, id="without-usage-the-pieces-are-counted"),
        pytest.param(
            stream(piece("hm", key="reasoning_content"), piece("2"), piece(finish_reason="length")),
            "hm2",
            2,
            "length",
            id="reasoning-is-text-too",
        ),
        pytest.param(
            stream(": keep-alive", "event: x", piece("a", usage=None, timings={"n": 1})),
            "a",
            1,
            None,
            id="comments-and-unknown-fields-are-passed-over",
        ),
        pytest.param(
            stream(piece("a", finish_reason="length"), end="close"),
            "a",
            1,
            "length",
            id="a-finish-reason-is-an-end-without-done",
        ),
        pytest.param(
            stream({"choices": [{"text": "a", "finish_reason": "length"}]}),
            "a",
            1,
            "length",
            id="completion-style-text",
        ),
        pytest.param(
            status(
                200,
                {
                    "model": "tiny",
                    "choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}],
                    "usage": {"completion_tokens": 2},
                },
            ),
            "whole",
            2,
            "stop",
            id="a-server-that-does-not-stream",
        ),
    ],
)
def test_replies_that_are_answers(server, reply, text, tokens, finish_reason):
    server.routes[CHAT] = [reply]
    answer = ask(FETCHES["used"](), Question(server.url), timeout_s=5)
    assert (answer.model, answer.text, answer.tokens, answer.finish_reason) == ("tiny", text, tokens, finish_reason)


def test_a_reply_may_hang_once_it_is_finished(server):
    server.routes[CHAT] = [stream(piece("a", finish_reason="stop"), end="hang")]
    assert ask(FETCHES["used"](), Question(server.url), timeout_s=1).text == "a"


@pytest.mark.parametrize(
    ("code", "document"),
    [
        pytest.param(404, {"detail": "Not Found"}, id="no-chat-route"),
        pytest.param(405, "", id="not-allowed"),
        pytest.param(501, {"error": {"message": "not implemented"}}, id="not-implemented"),
        pytest.param(400, {"message": "you must provide a chat template if ..."}, id="no-chat-template"),
        pytest.param(400, {"error": {"message": '"base" does not support chat'}}, id="no-chat-model"),
    ],
)
def test_completions_are_asked_when_there_is_no_chat(server, code, document):
    server.routes[CHAT] = [status(code, document)]
    server.routes[COMPLETIONS] = [stream({"choices": [{"text": "Hi"}]})]
    assert ask(FETCHES["used"](), Question(server.url, model="base"), timeout_s=5).text == "Hi"
    assert server.asked() == [CHAT, COMPLETIONS]
    assert server.requests[1][1]["prompt"] == "Hello"


def test_usage_is_done_without_where_a_server_does_not_know_the_option(server):
    refused = status(400, {"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]"})
    server.routes[CHAT] = [refused, stream(piece("a"))]
    assert ask(FETCHES["used"](), Question(server.url), timeout_s=5).tokens == 1
    assert "stream_options" not in server.requests[-1][1]


def test_a_server_without_a_list_is_asked_without_a_name(server):
    server.routes = {CHAT: [OK]}
    ask(FETCHES["used"](), Question(server.url), timeout_s=5)
    assert "model" not in server.requests[-1][1]


class TrickleBody(io.BytesIO):
    """One line per read, half a second each."""

    def __init__(self, raw, time):
        super().__init__(raw)
        self.time = time

    def read1(self, size=-1):
        self.time.now += 0.5
        return self.readline()


def trickle(time, *events):
    raw = "".join(f"data: {json.dumps(event)}\n" for event in events).replace("\n", "\n\n").encode()

    @contextlib.contextmanager
    def fetch(url, **options):
        time.now += 1
        yield Response(200, {"content-type": "text/event-stream"}, TrickleBody(raw, time))

    return fetch


def test_speed_is_told_from_the_first_text(server):
    time = FakeTime()
    fetch = trickle(time, piece(""), piece("a"), piece("b"), piece("c", finish_reason="length"), usage(3))
    answer = ask(fetch, Question("http://gpu7:8001", model="tiny"), timeout_s=60, clock=time.clock)
    # An event is two reads: its data and the empty line that ends it.
    assert answer.ttft_s == 3.0
    assert answer.tokens_per_s == 1.0


def test_one_token_has_no_speed():
    time = FakeTime()
    fetch = trickle(time, piece("a"), piece(finish_reason="length"), usage(1))
    answer = ask(fetch, Question("http://gpu7:8001", model="tiny"), timeout_s=60, clock=time.clock)
    assert (answer.tokens, answer.tokens_per_s) == (1, None)


def test_a_reply_that_trickles_does_not_outlive_the_limit():
    time = FakeTime()
    fetch = trickle(time, *[piece("a")] * 100)
    with pytest.raises(NotAnswering, match=r"not complete within 10 s, after 9 tokens"):
        ask(fetch, Question("http://gpu7:8001", model="tiny"), timeout_s=10, clock=time.clock)
    assert time.now == 110


# no answer


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(stream(usage(0)), "no text (finish reason: none, tokens: 0)", id="no-tokens"),
        pytest.param(
            stream(piece(""), piece(finish_reason="stop"), usage(1)), "no text (finish reason: stop", id="empty-text"
        ),
        pytest.param(stream(piece("a"), usage(0)), "no tokens", id="the-server-counted-zero"),
        pytest.param(
            stream(piece("a"), {"error": {"message": "CUDA out of memory", "code": 500}}),
            "an error, CUDA out of memory, after 1 tokens",
            id="error-in-the-middle",
        ),
        pytest.param(
            stream(piece("a"), 'error: {"code": 500, "message": "slot lost"}', end="close"),
            "an error, slot lost, after 1 tokens",
            id="error-field-of-an-older-llama-server",
        ),
        pytest.param(
            stream(piece("a"), piece(finish_reason="abort")),
            "gave up the reply (finish reason: abort, tokens: 1)",
            id="vllm-stops",
        ),
        pytest.param(
            stream(piece("a"), piece(finish_reason="error")), "gave up the reply (finish reason: error", id="it-failed"
        ),
        pytest.param(
            stream(piece("a", finish_reason="stop"), {"error": {"message": "EngineCore encountered an issue."}}),
            "an error, EngineCore encountered an issue., after 1 tokens",
            id="error-after-the-end",
        ),
        pytest.param(stream(piece("a"), "<oops>"), "not JSON, '<oops>'", id="not-json-in-the-middle"),
        pytest.param(stream(piece("a"), end="close"), "broke off (the connection was closed)", id="closed-early"),
        pytest.param(stream(piece("a"), end="cut"), "after 1 tokens", id="cut-in-a-chunk"),
        pytest.param(stream(piece("a"), end="reset"), "broke off", id="reset"),
        pytest.param(status(200, "<html>", **{"Content-Type": "text/html"}), "(text/html)", id="not-a-model-server"),
        pytest.param(status(200, {"error": "boom"}), "an error, boom", id="an-error-with-status-200"),
        pytest.param(status(500, {"detail": "engine died"}), "500 engine died", id="error-instead-of-a-completion"),
        pytest.param(status(500, "<h1>x</h1>"), "500 Internal Server Error", id="a-page-for-people-is-not-repeated"),
        pytest.param(status(429, {"error": {"message": "busy"}}), "429 busy", id="busy"),
    ],
)
def test_replies_that_are_no_answers(server, reply, said):
    server.routes[CHAT] = [reply]
    exc = refusal(server)
    assert said in str(exc)
    assert str(exc).startswith(f"the server on port {server.server_port} takes questions but answered none: ")
    assert (exc.stage, exc.curable) == ("answers", True)


def test_a_stream_that_hangs_is_left_in_time(server):
    server.routes[CHAT] = [stream(piece("a"), end="hang")]
    exc = refusal(server, timeout_s=3)  # a loaded machine needs a second for the first token
    assert "broke off (timed out), after 1 tokens" in str(exc)
    assert exc.stage == "answers"


def test_a_server_that_says_nothing_has_an_open_port(server):
    server.routes[CHAT] = [lambda handler: handler.server.released.wait()]
    exc = refusal(server, model="tiny", timeout_s=1)
    assert str(exc) == f"port {server.server_port} is open but gave no HTTP answer: timed out"
    assert exc.stage == "port"


def test_a_server_that_only_lists_models_is_loading(server):
    server.routes[CHAT] = [lambda handler: handler.server.released.wait()]
    exc = refusal(server, timeout_s=1)
    assert str(exc) == f"port {server.server_port} is open but took no question: timed out"
    assert exc.stage == "loading"


def test_what_is_not_http_has_an_open_port(server):
    server.routes[CHAT] = [lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n")]
    exc = refusal(server, model="tiny")
    assert (exc.stage, exc.curable) == ("port", True)


@pytest.mark.parametrize(
    ("reply", "options", "words"),
    [
        pytest.param(
            status(401, {"error": {"message": f"Invalid key {KEY}"}}),
            {"api_key": KEY},
            "does not accept the API key: 401 Invalid key ***",
            id="wrong-key",
        ),
        pytest.param(
            status(403, f"raw {json.dumps(KEY)}"),
            {"api_key": KEY},
            'does not accept the API key: 403 raw "***"',
            id="wrong-key-repeated-in-another-form",
        ),
        pytest.param(status(401, ""), {}, "requires an API key and none was given: 401 Unauthorized", id="no-key"),
        pytest.param(
            status(404, {"message": "The model `x` does not exist.", "object": "error"}),
            {"model": "x"},
            "has no model x; it serves tiny: 404 The model `x` does not exist.",
            id="unknown-model",
        ),
        pytest.param(
            status(404, ""),
            {"model": "x"},
            "has no model x; it serves tiny: 404 Not Found",
            id="unknown-model-no-words",
        ),
        pytest.param(
            status(404, ""),
            {"model": "tiny"},
            "serves neither /v1/chat/completions nor /v1/completions: 404 Not Found",
            id="no-route",
        ),
        pytest.param(
            status(400, {"error": {"message": "max_tokens is too large"}}),
            {},
            "does not accept the question: 400 max_tokens is too large",
            id="bad-request",
        ),
        pytest.param(
            status(422, {"detail": [{"loc": ["body"], "msg": "field required"}]}),
            {},
            "does not accept the question: 422 field required",
            id="refused-by-validation",
        ),
        pytest.param(
            status(308, "", Location="https://other/v1?key=x"),
            {},
            "sends us on to https://other/v1: 308 Permanent Redirect",
            id="redirect",
        ),
        pytest.param(
            OK, {"expect": "Paris"}, "answered without 'Paris': 'Hi you' (finish reason: stop", id="other-text"
        ),
    ],
)
def test_what_waiting_cannot_cure_fails_at_once(server, reply, options, words):
    server.routes[CHAT] = server.routes[COMPLETIONS] = [reply]
    with pytest.raises(NotAnswering) as caught:
        wait(Question(server.url, **options), deadline_s=900)
    assert str(caught.value).startswith(f"the server on port {server.server_port} {words}")
    assert (caught.value.stage, caught.value.curable, caught.value.time.slept) == ("answers", False, [])


def test_the_served_models_are_a_detail_of_the_error(server):
    server.routes[CHAT] = [status(404, {"error": 'model "x" not found, try pulling it first'})]
    assert refusal(server, model="x").details == {"stage": "answers", "models": ["tiny"]}


def test_text_that_is_expected_is_found(server):
    server.routes[CHAT] = [OK]
    assert ask(FETCHES["used"](), Question(server.url, expect="Hi y"), timeout_s=5).text == "Hi you"


# waiting


def test_a_loading_server_is_waited_for(server):
    server.routes[CHAT] = [LOADING] * 6 + [OK]
    answer, waited_s, time = wait(Question(server.url))
    assert answer.text == "Hi you"
    assert time.slept == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert waited_s == pytest.approx(7.0)


SILENT = stream(piece(""), piece(finish_reason="stop"), usage(1))


def test_a_model_that_says_nothing_is_not_waited_for_to_the_deadline(server):
    server.routes[CHAT] = [SILENT]
    with pytest.raises(NotAnswering, match=r"answered none after 5 s: the reply had no text") as caught:
        wait(Question(server.url), deadline_s=900)
    assert caught.value.time.slept == [0.2, 0.4, 0.8, 1.6, 2.0]
    assert caught.value.details == {"stage": "answers"}


def test_a_server_that_stays_too_slow_does_not_answer(server):
    server.routes[CHAT] = [OK]
    with pytest.raises(
        NotAnswering, match=r"answers too slowly after 5 s: the reply of 3 tokens shows no tokens"
    ) as caught:
        wait(Question(server.url, min_tokens_per_s=1), deadline_s=900)
    assert caught.value.details == {"stage": "answers"}


def test_a_server_that_is_fast_enough_answers(server):
    server.routes[CHAT] = [OK]
    assert wait(Question(server.url, max_ttft_s=1000))[0].text == "Hi you"


@pytest.mark.parametrize(
    ("limits", "measured", "words"),
    [
        ({}, {"ttft_s": 9.0}, ""),
        ({"max_ttft_s": 2}, {"ttft_s": 2.0}, ""),
        ({"max_ttft_s": 2}, {"ttft_s": 2.5}, "2.5 s to the first token, at most 2 s are desired"),
        ({"min_tokens_per_s": 20}, {"tokens_per_s": 20.0}, ""),
        ({"min_tokens_per_s": 20}, {"tokens_per_s": 3.456}, "3.46 tokens per second, at least 20 are desired"),
        (
            {"min_tokens_per_s": 20},
            {"tokens": 1},
            "the reply of 1 tokens shows no tokens per second, and at least 20 are desired",
        ),
        (
            {"max_ttft_s": 1, "min_tokens_per_s": 20},
            {"ttft_s": 4.0, "tokens_per_s": 5.0},
            "4 s to the first token, at most 1 s are desired; 5 tokens per second, at least 20 are desired",
        ),
    ],
)
def test_what_is_too_slow_is_told(limits, measured, words):
    answer = Answer(**{"model": "m", "ttft_s": 0.1, "tokens": 8, **measured})
    assert _missed(Question("http://127.0.0.1:1", **limits), answer) == words


@pytest.mark.parametrize("limit", ["max_ttft_s", "min_tokens_per_s"])
def test_speed_is_that_of_text(limit):
    with pytest.raises(HostError, match="not of a question for embedding"):
        Question("http://127.0.0.1:1", kind="embedding", **{limit: 1})


def test_empty_replies_between_others_are_waited_out(server):
    server.routes[CHAT] = [*[SILENT] * 5, LOADING, *[SILENT] * 5, OK]
    assert wait(Question(server.url))[0].text == "Hi you"


@pytest.mark.parametrize(
    ("routes", "words", "stage"),
    [
        pytest.param(
            {CHAT: [LOADING]},
            "port {port} is open and the model is still loading after 9 s: 503 Loading model",
            "loading",
            id="loading",
        ),
        pytest.param(
            {MODELS: [status(502, "<html>")]},
            "port {port} is open and the model is still loading after 9 s: 502 Bad Gateway",
            "loading",
            id="behind-a-proxy",
        ),
        pytest.param(
            {MODELS: [status(200, {"data": []})]},
            "the server on port {port} lists no model after 9 s",
            "loading",
            id="empty",
        ),
        pytest.param(
            {CHAT: [status(500, {"error": "boom"})]},
            "the server on port {port} takes questions but answered none after 9 s: 500 boom",
            "answers",
            id="failing",
        ),
        pytest.param(
            {MODELS: [status(200, "hm")]},
            "the server on port {port} gives no list of models that can be read after 9 s: 200 hm",
            "answers",
            id="odd-list",
        ),
    ],
)
def test_after_the_deadline_the_last_state_is_told(server, routes, words, stage):
    server.routes.update(routes)
    with pytest.raises(NotAnswering) as caught:
        wait(Question(server.url), deadline_s=9)
    assert str(caught.value) == words.format(port=server.server_port)
    assert caught.value.stage == caught.value.details["stage"] == stage
    assert caught.value.time.now == pytest.approx(109)


def test_refused_is_a_process_without_a_port(closed_port):
    with pytest.raises(NotAnswering) as caught:
        wait(Question(f"http://127.0.0.1:{closed_port}"), deadline_s=5)
    assert str(caught.value) == f"nothing listens on port {closed_port} after 5 s: Connection refused"
    assert caught.value.stage == "process"


def test_a_dead_process_is_not_waited_for(closed_port):
    deaths = [None, None, "chat.service failed with exit status 1"]
    with pytest.raises(NotAnswering) as caught:
        wait(Question(f"http://127.0.0.1:{closed_port}"), alive=lambda: deaths.pop(0))
    assert str(caught.value) == (
        f"the server for port {closed_port} does not run: chat.service failed with exit status 1"
    )
    assert caught.value.stage == "process"
    assert caught.value.time.slept == [0.2, 0.4]


def test_what_a_dead_process_said_before_is_told_without_the_key(server):
    server.routes[CHAT] = [LOADING]
    deaths = [None, f"it logged {KEY}"]
    with pytest.raises(NotAnswering) as caught:
        wait(Question(server.url, api_key=KEY), alive=lambda: deaths.pop(0))
    assert str(caught.value) == (
        f"the server for port {server.server_port} does not run: it logged *** "
        f"(before that, port {server.server_port} is open and the model is still loading: 503 Loading model)"
    )


def test_an_answer_from_another_process_is_none(server):
    server.routes[CHAT] = [OK]
    deaths = [None, "chat.service could not bind to the port"]
    with pytest.raises(NotAnswering, match="does not run, another process answered there: chat.service could not bind"):
        wait(Question(server.url), alive=lambda: deaths.pop(0))


def test_a_request_gets_half_of_the_time_that_is_left():
    given = []

    @contextlib.contextmanager
    def fetch(url, *, timeout_s, **options):
        given.append(timeout_s)
        time.now += timeout_s
        raise Unreachable("silence")
        yield

    time = FakeTime()
    with pytest.raises(NotAnswering):
        wait_for_answer(
            fetch, Question("http://gpu7", model="tiny"), deadline_s=200, clock=time.clock, sleep=time.sleep
        )
    assert given[0] == 100
    assert given[1] == pytest.approx(49.9)
    assert given[2] == 30
    assert time.now <= 301


# recorded from a real server


LLAMA = "llama-server/b11669"


def test_llama_server_answers_after_loading(server):
    server.routes = {
        MODELS: [recorded(f"{LLAMA}/loading"), recorded(f"{LLAMA}/models")],
        CHAT: [recorded(f"{LLAMA}/chat")],
    }
    answer, _waited_s, time = wait(Question(server.url))
    assert (answer.model, answer.text, answer.tokens) == ("/models/tiny.gguf", "DJx6", 4)
    assert answer.finish_reason == "length"
    assert time.slept == [0.2]
    assert server.requests[-1][1]["model"] == "/models/tiny.gguf"


def test_llama_server_completes_without_a_chat_route(server):
    server.routes = {CHAT: [recorded(f"{LLAMA}/no-route")], COMPLETIONS: [recorded(f"{LLAMA}/completions")]}
    answer = ask(FETCHES["used"](), Question(server.url), timeout_s=5)
    assert (answer.tokens, answer.finish_reason) == (4, "length")
    assert answer.text


@pytest.mark.parametrize(
    ("reply", "stage", "words"),
    [
        pytest.param("loading", "loading", "the model is still loading: 503 Loading model", id="loading"),
        pytest.param("wrong-key", "answers", "does not accept the API key: 401 Invalid API Key", id="wrong-key"),
        pytest.param("too-long", "answers", "400 request (14023 tokens) exceeds the available context", id="too-long"),
    ],
)
def test_llama_server_refuses(server, reply, stage, words):
    server.routes[CHAT] = [recorded(f"{LLAMA}/{reply}")]
    exc = refusal(server, api_key=KEY)
    assert words in str(exc)
    assert exc.stage == stage


VLLM = "vllm/0.32.0"


def test_vllm_answers_and_refuses_who_has_no_key(server):
    server.routes[CHAT] = [recorded(f"{VLLM}/{name}") for name in ("chat", "no-key", "no-key")]
    answer = ask(FETCHES["used"](), Question(server.url, model="chat", api_key=KEY), timeout_s=5)
    assert (answer.model, answer.tokens, answer.finish_reason) == ("chat", 4, "length")
    assert server.asked() == [CHAT, CHAT, CHAT]


def test_vllm_whose_core_dies_in_the_middle_has_not_answered(server):
    server.routes[CHAT] = [recorded(f"{VLLM}/core-died")]
    exc = refusal(server, model="chat")
    assert "the server sent an error, EngineCore encountered an issue." in str(exc)
    assert (exc.stage, exc.curable) == ("answers", True)


# the question


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"url": "127.0.0.1:8001"}, "must be a URL", id="no-scheme"),
        pytest.param({"url": "http://host:port"}, "must be a URL", id="port-is-no-number"),
        pytest.param({"url": "http://host\n/"}, "must be a URL", id="newline"),
        pytest.param({"url": "file:///etc/passwd"}, "must be a URL", id="file"),
        pytest.param({"url": "http://me:pw@host"}, "must not hold a user name", id="password"),
        pytest.param({"url": "http://host/?key=pw"}, "must not hold", id="query"),
        pytest.param({"url": "http://host/v1/"}, "must end before /v1", id="v1"),
        pytest.param({"url": "http://host", "max_tokens": 0}, "at least one token", id="no-tokens"),
        pytest.param({"url": "http://host", "api_key": "two\nlines"}, "printable ASCII", id="key-with-newline"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(options, words):
    with pytest.raises(HostError, match=words) as caught:
        Question(**options)
    assert "pw" not in str(caught.value)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://127.0.0.1:8001", "port 8001"),
        ("http://[::1]:8001/", "port 8001"),
        ("https://gpu7/models", "port 443 of gpu7"),
    ],
)
def test_the_port_is_named_in_words(url, where):
    assert Question(url).where == where


def test_the_key_is_not_in_the_representation():
    assert KEY not in repr(Question("http://gpu7", api_key=KEY))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read: No such file or directory", id="missing"),
        pytest.param(b"", "holds no usable key", id="empty"),
        pytest.param(b"\n\n# a comment\n#" + KEY.encode(), "holds no usable key", id="blank-lines-and-comments"),
        pytest.param(KEY.encode() + b"\r\n", "no carriage return", id="written-on-windows"),
        pytest.param(KEY.encode() + b" \n", "holds no blank", id="trailing-blank"),
        pytest.param(b" " + KEY.encode() + b"\n", "holds no blank", id="leading-blank"),
        pytest.param("schlüssel\n".encode(), "printable ASCII", id="not-ascii"),
        pytest.param(b"\xff\xfe", "it is not UTF-8", id="binary"),
    ],
)
def test_a_key_file_without_a_key_is_named(tmp_path, content, words):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HostError, match=words) as caught:
        read_api_key(str(path))
    assert str(path) in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{KEY}\nnot-this\n", id="the-first-line"),
        pytest.param(KEY, id="without-a-line-end"),
        pytest.param(f"\n# comment\n{KEY}\n", id="after-what-servers-pass-over"),
        pytest.param(f"nobody-can-send-this \nnor-this\r\n{KEY}\n", id="after-what-no-client-can-send"),
    ],
)
def test_the_first_usable_line_of_a_key_file_is_the_key(tmp_path, content):
    path = tmp_path / "key"
    path.write_text(content, newline="")
    assert read_api_key(str(path)) == KEY


# the door


@pytest.mark.parametrize(
    ("closed_paths", "asked"),
    [
        pytest.param(None, [CHAT, CHAT], id="the-path-that-answered"),
        pytest.param((COMPLETIONS, "/infill"), [COMPLETIONS, COMPLETIONS, "/infill", "/infill"], id="named-paths"),
        pytest.param((), [], id="none"),
    ],
)
def test_who_has_no_key_is_refused_on_every_path(server, closed_paths, asked):
    server.routes[CHAT], server.key = [OK], KEY
    question = Question(server.url, model="tiny", api_key=KEY, closed_paths=closed_paths)
    assert ask(FETCHES["used"](), question, timeout_s=5).text == "Hi you"
    assert server.asked() == [CHAT, *asked]


def test_without_a_key_nothing_is_to_be_closed(server):
    server.routes[CHAT] = [OK]
    ask(FETCHES["used"](), Question(server.url, model="tiny", closed_paths=(CHAT,)), timeout_s=5)
    assert server.asked() == [CHAT]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(OK, "200 OK", id="it-answers"),
        pytest.param(status(400, {"detail": "bad"}), "400 Bad Request", id="it-reads-the-request"),
        pytest.param(status(404, ""), "404 Not Found", id="nothing-is-known-of-the-path"),
    ],
)
def test_a_path_that_is_open_without_the_key_is_no_server_that_is_ready(server, reply, said):
    server.routes |= {CHAT: [OK], "/invocations": [reply]}
    server.key, server.open_paths = KEY, ("/invocations",)
    with pytest.raises(NotAnswering) as caught:
        wait(Question(server.url, model="tiny", api_key=KEY, closed_paths=(CHAT, "/invocations")), deadline_s=900)
    assert str(caught.value) == (
        f"the server on port {server.server_port} does not refuse /invocations without an API key: {said}"
    )
    assert (caught.value.stage, caught.value.curable, caught.value.time.slept) == ("answers", False, [])


def test_a_server_that_takes_any_key_is_not_ready(server):
    server.routes[CHAT] = [OK, status(401, ""), OK]
    assert "does not refuse /v1/chat/completions with a wrong API key: 200 OK" in str(refusal(server, api_key=KEY))


def test_a_server_that_cannot_say_yet_is_asked_again(server):
    server.routes[CHAT] = [OK, LOADING, OK, status(403, "")]
    answer, _waited_s, time = wait(Question(server.url, api_key=KEY))
    assert (answer.text, time.slept) == ("Hi you", [0.2])


# the connection


def test_a_proxy_is_not_asked_for_this_host(server, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    server.routes[CHAT] = [OK]
    assert ask(FETCHES["used"](), Question(server.url), timeout_s=5).text == "Hi you"


def test_netrc_does_not_replace_the_key(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.routes[CHAT], server.key = [OK], KEY
    ask(FETCHES["used"](), Question(server.url, api_key=KEY), timeout_s=5)
    sent = [headers["Authorization"] for _path, _body, headers in server.requests]
    assert sent[:2] == [f"Bearer {KEY}"] * 2
    assert KEY not in str(sent[2])  # what netrc says is not the key
    assert sent[3:] == ["Bearer this-is-not-the-key"]


def test_tls_that_is_not_spoken_is_an_open_port(server):
    with pytest.raises(NotAnswering) as caught:
        ask(FETCHES["used"](), Question(server.url.replace("http:", "https:")), timeout_s=5)
    assert caught.value.stage == "port"
