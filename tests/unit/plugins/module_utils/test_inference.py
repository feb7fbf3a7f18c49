# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import http.server
import io
import json
import pathlib
import socket
import struct
import threading

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._http import Response, Unreachable
from ansible_collections.mlops.hosts.plugins.module_utils._http_module import ModuleFetch
from ansible_collections.mlops.hosts.plugins.module_utils._http_plain import PlainFetch
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import Answer, NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.ask import ask
from ansible_collections.mlops.hosts.plugins.module_utils._inference.completion import _missed
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question, read_api_key
from ansible_collections.mlops.hosts.plugins.module_utils._inference.wait import wait_for_answer

RECORDED = pathlib.Path(__file__).parents[2] / "data"
KEY = 'sk-"secret\\key'
CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"


class FakeHandler(http.server.BaseHTTPRequestHandler):
    """Plays what the test wrote for the route; the last reply of a route is repeated."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._play(None)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        head = int(self.headers.get("Inference-Header-Content-Length", len(raw)))
        self._play({**json.loads(raw[:head]), **({"binary": raw[head:]} if raw[head:] else {})})

    def _play(self, asked):
        self.close_connection = True
        self.server.requests.append((self.path, asked, self.headers))
        key = self.server.key
        if key and self.headers["Authorization"] != f"Bearer {key}" and self.path not in self.server.open_paths:
            status(401, {"error": "Unauthorized"})(self)
            return
        replies = self.server.routes.get(self.path, [status(404, {"detail": "Not Found"})])
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, *args):
        pass


class Fake(http.server.ThreadingHTTPServer):
    """A fake of a model server, on loopback."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FakeHandler)
        self.routes = {MODELS: [status(200, {"object": "list", "data": [{"id": "tiny"}]})]}
        self.requests = []
        self.key = None
        self.open_paths = ()  # where the key is not asked for
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def asked(self):
        return [path for path, _body, _headers in self.requests]

    def handle_error(self, request, client_address):
        pass


def status(code, document, **headers):
    def play(handler):
        raw = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        handler.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(raw), **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(raw)

    return play


def recorded(name):
    """A reply of a real server, byte for byte."""
    raw = (RECORDED / f"{name}.http").read_bytes()
    return lambda handler: handler.wfile.write(raw)


def piece(text=None, finish_reason=None, key="content", **more):
    delta = {} if text is None else {key: text}
    return {"model": "tiny", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


def usage(tokens):
    return {"model": "tiny", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


def stream(*events, end="done"):
    """Server-sent events, chunked. ``end``: done, close (no terminator), cut (mid-chunk), reset or hang."""

    def play(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in (*events, "[DONE]") if end == "done" else events:
            text = event if isinstance(event, str) else json.dumps(event)
            line = text if text.startswith((":", "error:", "event:")) else f"data: {text}"
            raw = f"{line}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        if end == "done":
            handler.wfile.write(b"0\r\n\r\n")
        elif end == "cut":
            handler.wfile.write(b"40\r\ndata: {")
        elif end == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif end == "hang":
            handler.server.released.wait()

    return play


OK = stream(piece(""), piece("Hi"), piece(" you"), piece(finish_reason="stop"), usage(3))
LOADING = status(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})


# The two ways to ask a server; every test goes both.
FETCHES = {"used": PlainFetch}


@pytest.fixture(autouse=True, params=[PlainFetch, ModuleFetch], ids=["plain", "module"])
def _both_ways(request, monkeypatch):
    monkeypatch.setitem(FETCHES, "used", request.param)


@pytest.fixture
def server():
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class FakeTime:
    """Time that passes only in sleep."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def wait(question, deadline_s=60, alive=lambda: None, fetch=None):
    time = FakeTime()
    try:
        return *wait_for_answer(
            fetch or FETCHES["used"](), question, deadline_s=deadline_s, alive=alive, clock=time.clock, sleep=time.sleep
        ), time
    except NotAnswering as exc:
        exc.time = time
        raise


def refusal(server, *, timeout_s=5, **options):
    with pytest.raises(NotAnswering) as caught:
        ask(FETCHES["used"](), Question(server.url, **options), timeout_s=timeout_s)
    assert caught.value.details["stage"] == caught.value.stage
    return caught.value


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


# a vector

EMBEDDINGS = "/v1/embeddings"


def vector(*numbers, **more):
    text = ", ".join(str(number) for number in numbers)
    return status(200, f'{{"data": [{{"embedding": [{text}], "index": 0}}], "model": "tiny"}}', **more)


def embedded(server, **options):
    return ask(FETCHES["used"](), Question(server.url, kind="embedding", **options), timeout_s=5)


def test_a_vector_of_numbers_is_an_answer(server):
    server.routes[EMBEDDINGS], server.key = [vector(0.5, -1, 0)], KEY
    answer = embedded(server, prompt="Hi", api_key=KEY, closed_paths=(EMBEDDINGS, "/embed"))
    assert (answer.model, answer.dimensions, answer.text, answer.tokens) == ("tiny", 3, None, 0)
    assert server.asked() == [MODELS, EMBEDDINGS, *[EMBEDDINGS] * 2, *["/embed"] * 2]
    assert server.requests[1][1] == {"model": "tiny", "input": "Hi", "encoding_format": "float"}


def test_a_server_of_vectors_without_a_list_of_models_is_asked_without_a_name(server):
    server.routes = {EMBEDDINGS: [vector(1)]}
    assert embedded(server).dimensions == 1
    assert "model" not in server.requests[-1][1]


@pytest.mark.parametrize(
    ("reply", "said", "curable"),
    [
        pytest.param(vector(), "it is no list of numbers", False, id="no-numbers"),
        pytest.param(vector(0, 0.0, -0.0), "all of its 3 numbers are zero", False, id="zeros"),
        pytest.param(vector(1, "null"), "it holds what is no finite number, among 2", False, id="null"),
        pytest.param(vector(1, "NaN"), "no finite number", False, id="not-a-number"),
        pytest.param(vector(1, "-Infinity"), "no finite number", False, id="infinite"),
        pytest.param(vector(1, "true"), "no finite number", False, id="true"),
        pytest.param(vector(1, '"2"'), "no finite number", False, id="text"),
        pytest.param(status(200, {"data": []}), "the reply has no vector", True, id="no-data"),
        pytest.param(status(200, "<html>"), "the reply has no vector", True, id="not-a-model-server"),
        pytest.param(status(404, {}), f"does not serve {EMBEDDINGS}", False, id="no-such-route"),
        pytest.param(
            status(424, {"message": "Model is not an embedding model", "code": 424, "type": "backend"}),
            "does not accept the question: 424 Model is not an embedding model",
            False,
            id="another-kind-of-model",
        ),
        pytest.param(status(429, {"message": "Model is overloaded"}), "429 Model is overloaded", True, id="overloaded"),
        pytest.param(LOADING, "still loading", True, id="loading"),
    ],
)
def test_replies_that_are_no_vector(server, reply, said, curable):
    server.routes[EMBEDDINGS] = [reply]
    with pytest.raises(NotAnswering) as caught:
        embedded(server, model="tiny")
    assert said in str(caught.value)
    assert caught.value.curable is curable


def test_a_vector_for_whoever_asks_is_no_server_that_is_ready(server):
    server.routes |= {EMBEDDINGS: [vector(1)], "/embed": [vector(1)]}
    server.key, server.open_paths = KEY, ("/embed",)
    with pytest.raises(NotAnswering, match="does not refuse /embed without an API key"):
        embedded(server, model="tiny", api_key=KEY, closed_paths=(EMBEDDINGS, "/embed"))


def test_no_text_is_expected_of_a_vector():
    with pytest.raises(
        HostError, match="text and speed can be expected of a completion, and not of a question for embedding"
    ):
        Question("http://127.0.0.1:1", kind="embedding", expect="x")


# tensors

MODEL, INFER, INDEX = "/v2/models/net", "/v2/models/net/infer", "/v2/repository/index"


def tensor(name, datatype, *shape, **more):
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


X, Y = tensor("x", "FP32", -1, 3), tensor("y", "FP16", -1, 2)


def stated(inputs=(X,), outputs=(Y,)):
    return status(200, {"name": "net", "platform": "onnx", "inputs": list(inputs), "outputs": list(outputs)})


def inferred(*outputs, rest=b"", **more):
    head = json.dumps({"model_name": "net", "outputs": outputs}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": len(head)}

    def play(handler):
        handler.send_response(200)
        for name, value in {**headers, "Content-Length": len(head) + len(rest), **more}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(head + rest)

    return play


def output(name, datatype, *shape, size):
    return tensor(name, datatype, *shape, parameters={"binary_data_size": size})


def infer(server, *, model="net", **options):
    question = Question(server.url, kind="tensor", model=model, **options)
    return ask(FETCHES["used"](), question, timeout_s=5)


def test_a_model_infers_from_zeros(server):
    inputs = (tensor("x", "BF16", -1, 3, 2), tensor("mask", "BOOL", 4), tensor("words", "BYTES", -1))
    server.routes = {
        MODEL: [stated(inputs)],
        INFER: [inferred(output("y", "FP16", 5, 2, size=20), rest=bytes(20))],
    }
    answer = infer(server)
    assert (answer.model, answer.text, answer.dimensions) == ("net", None, None)
    assert [(one.name, one.datatype, one.shape) for one in answer.outputs] == [("y", "FP16", (5, 2))]
    _path, asked, headers = server.requests[-1]
    assert [(one["name"], one["shape"], one["parameters"]["binary_data_size"]) for one in asked["inputs"]] == [
        ("x", [1, 3, 2], 12),
        ("mask", [4], 4),
        ("words", [1], 4),
    ]
    assert asked["binary"] == bytes(20)
    assert asked["parameters"] == {"binary_data_output": True}
    assert headers["Content-Type"] == "application/octet-stream"


def test_inputs_that_are_given_are_sent_as_they_are(server):
    inputs = (tensor("x", "FP32", -1, 2), tensor("n", "INT64", 1), tensor("text", "BYTES", 1))
    server.routes = {MODEL: [stated(inputs)], INFER: [inferred(output("y", "FP16", 1, 2, size=4), rest=bytes(4))]}
    infer(server, inputs=({"name": "x", "data": [1, 2, 3, 4], "shape": [2, 2]}, {"name": "text", "data": ["hi"]}))
    asked = server.requests[-1][1]
    assert asked["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]},
        {"name": "n", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}},
        {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["hi"]},
    ]
    assert asked["binary"] == bytes(8)


def test_the_first_model_that_is_ready_is_asked(server):
    index = [{"name": "bad", "state": "UNAVAILABLE", "reason": "x"}, {"name": "net", "version": "1", "state": "READY"}]
    server.routes = {
        INDEX: [status(200, []), status(200, index)],
        MODEL: [stated()],
        INFER: [inferred(output("y", "FP16", 1, 2, size=4), rest=bytes(4))],
    }
    answer, _waited_s, time = wait(Question(server.url, kind="tensor"))
    assert (answer.model, len(time.slept)) == ("net", 1)


def test_a_server_without_binary_data_may_answer_in_json(server):
    server.routes = {MODEL: [stated()], INFER: [status(200, {"outputs": [tensor("y", "FP16", 1, 2, data=[0, 1])]})]}
    assert [one.shape for one in infer(server).outputs] == [(1, 2)]


def test_an_output_may_be_large(server):
    size = 2 * (1 << 21)
    server.routes = {
        MODEL: [stated(outputs=[tensor("y", "FP16", -1)])],
        INFER: [inferred(output("y", "FP16", 1 << 21, size=size), rest=bytes(size))],
    }
    assert infer(server).outputs[0].shape == (1 << 21,)


@pytest.mark.parametrize(
    ("reply", "said", "curable"),
    [
        pytest.param(inferred(), "it holds no output", False, id="nothing"),
        pytest.param(inferred(output("z", "FP16", 1, 2, size=4), rest=bytes(4)), "z is none of its", False, id="name"),
        pytest.param(
            inferred(output("y", "FP32", 1, 2, size=8), rest=bytes(8)),
            "is of type FP32, and not FP16",
            False,
            id="type",
        ),
        pytest.param(
            inferred(output("y", "FP16", 1, 3, size=6), rest=bytes(6)),
            "has the shape [1, 3], and not [-1, 2]",
            False,
            id="shape",
        ),
        pytest.param(
            inferred(output("y", "FP16", 2, size=4), rest=bytes(4)),
            "has the shape [2], and not [-1, 2]",
            False,
            id="rank",
        ),
        pytest.param(
            inferred(output("y", "FP16", 1, 2, size=2), rest=bytes(2)),
            "has 2 bytes, and its shape takes 4",
            False,
            id="size",
        ),
        pytest.param(
            inferred(output("y", "FP16", 1, 2, size=4), rest=b"a"),
            "have 4 bytes, and 1 came",
            True,
            id="cut",
        ),
        pytest.param(
            status(200, {"outputs": [tensor("y", "FP16", 1, 2, data=[0])]}),
            "no outputs that can be read",
            True,
            id="data",
        ),
        pytest.param(status(200, "<html>"), "no JSON that can be read", True, id="not-json"),
        pytest.param(status(200, [1]), "no outputs that can be read", True, id="no-document"),
        pytest.param(
            status(400, {"error": "unexpected shape for input 'x'"}),
            "does not accept the question: 400 unexpected shape",
            False,
            id="refused",
        ),
        pytest.param(status(500, {"error": "CUDA out of memory"}), "500 CUDA out of memory", True, id="failed"),
    ],
)
def test_what_a_model_does_not_state_is_no_answer(server, reply, said, curable):
    server.routes = {MODEL: [stated()], INFER: [reply]}
    with pytest.raises(NotAnswering) as caught:
        infer(server)
    assert said in str(caught.value)
    assert caught.value.curable is curable


@pytest.mark.parametrize(
    ("inputs", "given", "said"),
    [
        pytest.param(
            (tensor("x", "FP32", 1),), [{"name": "z", "data": [1]}], "net has no input z; it has x", id="name"
        ),
        pytest.param((tensor("x", "FP8", 1),), [], "is of type FP8; give its data", id="unknown-type"),
        pytest.param((tensor("x", "FP32", 1 << 20, 32),), [], "take 134217728 bytes; give smaller", id="too-large"),
    ],
)
def test_a_model_that_cannot_be_asked_is_not_waited_for(server, inputs, given, said):
    server.routes = {MODEL: [stated(inputs)]}
    with pytest.raises(NotAnswering, match=said) as caught:
        infer(server, inputs=tuple(given))
    assert not caught.value.curable
    assert server.asked() == [MODEL]


def test_a_model_that_is_not_there_is_told_with_those_that_are(server):
    unknown = status(404, {"error": "Request for unknown model: 'net' is not found"})
    server.routes = {MODEL: [unknown], INDEX: [status(200, [{"name": "other", "state": "READY"}])]}
    with pytest.raises(NotAnswering, match="has no model net; it serves other: 404 Request for unknown") as caught:
        infer(server)
    assert caught.value.details["models"] == ["other"]


def test_a_model_that_is_unavailable_is_waited_for(server):
    server.routes = {MODEL: [status(503, {"error": "Request for unknown model: 'net' has no available versions"})]}
    with pytest.raises(NotAnswering, match="the model is still loading") as caught:
        infer(server)
    assert caught.value.curable


def test_a_server_of_another_protocol_is_told(server):
    server.routes = {MODEL: [status(404, "")]}
    with pytest.raises(NotAnswering, match="does not speak version 2 of the KServe protocol: 404 Not Found"):
        infer(server)


def test_a_gateway_before_a_model_is_proved_closed(server):
    server.routes = {MODEL: [stated()], INFER: [inferred(output("y", "FP16", 1, 2, size=4), rest=bytes(4))]}
    server.key = KEY
    assert infer(server, api_key=KEY).outputs
    assert server.asked() == [MODEL, INFER, INFER, INFER]
    server.open_paths = (INFER,)
    with pytest.raises(NotAnswering, match="does not refuse /v2/models/net/infer without an API key"):
        infer(server, api_key=KEY)


def test_inputs_are_of_tensors():
    with pytest.raises(HostError, match="inputs are those of tensors, and not of a question for embedding"):
        Question("http://127.0.0.1:1", kind="embedding", inputs=({"name": "x", "data": [1]},))


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
