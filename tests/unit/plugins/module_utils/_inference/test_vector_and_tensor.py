# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks fakes of model servers for vectors and tensors."""

from __future__ import annotations

import json

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._inference.answer import NotAnswering
from ansible_collections.mlops.hosts.plugins.module_utils._inference.ask import ask
from ansible_collections.mlops.hosts.plugins.module_utils._inference.question import Question

from .support import (
    FETCHES,
    KEY,
    LOADING,
    MODELS,
    status,
    wait,
)

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
