# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Has a model infer tensors over version 2 of the KServe protocol, with Triton's extension for binary data.

What the model states as its inputs is sent, as zeros unless it was given, and what comes back is held against what it
states as its outputs. Binary data has a form for every type, where JSON has none for the short floats.
"""

from __future__ import annotations

import json
import math
import typing as t
import urllib.parse

from .._http import Response
from .answer import Answer, NotAnswering, Tensor
from .exchange import NO_ROUTE, Exchange
from .reply import BODY_MOST, Broken

_INDEX = "/v2/repository/index"
_HEADER = "inference-header-content-length"
# The most that Triton takes in one request, unless it is told otherwise.
_INPUTS_MOST = 1 << 26
# Bytes of one element. One of type BYTES is a length, of 4 bytes, and so much more.
_WIDTHS = {
    **{"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "UINT16": 2, "FP16": 2, "BF16": 2, "BYTES": 4},
    **{"INT32": 4, "UINT32": 4, "FP32": 4, "INT64": 8, "UINT64": 8, "FP64": 8},
}

Stated = t.Mapping[str, Tensor]


def ask(exchange: Exchange) -> Answer:
    """Have the model infer. The first one that is ready, unless the question names one."""
    model = exchange.question.model or _first_ready(exchange)
    path = f"/v2/models/{urllib.parse.quote(model, safe='')}"
    stated = _document(exchange, path, model)
    try:
        inputs, outputs = _tensors(stated["inputs"]), _tensors(stated["outputs"])
    except (TypeError, LookupError, ValueError):
        raise exchange.verdict.unanswered(f"it states no inputs and outputs of {model} that can be read") from None
    head, zeros = _request(exchange, model, inputs)
    body = head + bytes(zeros)
    started = exchange.clock()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    with exchange.send(f"{path}/infer", body, headers) as response:
        if not 200 <= response.status < 300:
            raise _refused(exchange, response, exchange.whole(response), model)
        document, rest = _reply(exchange, response)
    seconds = exchange.clock() - started
    answered = _checked(exchange, document, rest, outputs)
    exchange.prove_closed(f"{path}/infer", lambda _path: head)
    return Answer(model=model, ttft_s=seconds, outputs=answered)


# What is asked


def _first_ready(exchange: Exchange) -> str:
    ready = _served(exchange)
    if not ready:
        raise exchange.verdict.error(
            f"the server on {exchange.question.where} has no model that is ready", "", stage="loading"
        )
    return ready[0]


def _served(exchange: Exchange) -> list[str]:
    with exchange.send(_INDEX, b"{}") as response:
        raw = exchange.whole(response)
    if not 200 <= response.status < 300:
        raise _refused(exchange, response, raw, None)
    try:
        return sorted({str(entry["name"]) for entry in json.loads(raw) if entry.get("state") == "READY"})
    except (ValueError, TypeError, LookupError, AttributeError):
        raise exchange.verdict.unanswered("it gives no list of models that can be read") from None


def _document(exchange: Exchange, path: str, model: str) -> t.Any:
    with exchange.send(path) as response:
        raw = exchange.whole(response)
    if not 200 <= response.status < 300:
        raise _refused(exchange, response, raw, model)
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _refused(exchange: Exchange, response: Response, raw: bytes, model: str | None) -> NotAnswering:
    said = exchange.verdict.words(response.status, raw)
    if model is not None and response.status in (400, 404) and "unknown model" in said:
        try:
            served = _served(exchange)
        except NotAnswering:
            served = []
        return exchange.verdict.unknown_model(said, served)
    if response.status in NO_ROUTE and not raw:
        situation = f"the server on {exchange.question.where} does not speak version 2 of the KServe protocol"
        return exchange.verdict.error(situation, said, stage="answers", curable=False)
    return exchange.verdict.refused(response.status, said, response.headers)


def _tensors(stated: t.Any) -> Stated:
    found = [
        Tensor(str(one["name"]), str(one["datatype"]), tuple(int(size) for size in one["shape"])) for one in stated
    ]
    return {one.name: one for one in found}


def _request(exchange: Exchange, model: str, stated: Stated) -> tuple[bytes, int]:
    """The JSON of the request, and how many zeros follow it. A size that is open is one."""
    given = {str(one["name"]): one for one in exchange.question.inputs}
    if unknown := sorted(given.keys() - stated.keys()):
        named = ", ".join(stated) or "none"
        raise _hopeless(exchange, f"{model} has no input {unknown[0]}; it has {named}")
    inputs: list[dict[str, t.Any]] = []
    zeros = 0
    for tensor in stated.values():
        one = given.get(tensor.name, {})
        shape = one.get("shape") or [1 if size < 0 else size for size in tensor.shape]
        asked = {"name": tensor.name, "datatype": tensor.datatype, "shape": shape}
        if one.get("data") is not None:
            inputs.append({**asked, "data": one["data"]})
            continue
        if tensor.datatype not in _WIDTHS:
            raise _hopeless(exchange, f"input {tensor.name} of {model} is of type {tensor.datatype}; give its data")
        size = math.prod(shape) * _WIDTHS[tensor.datatype]
        zeros += size
        inputs.append({**asked, "parameters": {"binary_data_size": size}})
    if zeros > _INPUTS_MOST:
        raise _hopeless(exchange, f"the inputs of {model} take {zeros} bytes; give smaller shapes")
    document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    return json.dumps(document).encode(), zeros


def _hopeless(exchange: Exchange, why: str) -> NotAnswering:
    situation = f"the server on {exchange.question.where} cannot be asked"
    return exchange.verdict.error(situation, why, stage="answers", curable=False)


# What came back


def _reply(exchange: Exchange, response: Response) -> tuple[t.Any, int]:
    """The JSON of the reply, and how many bytes followed it: they can be many, and none is kept."""
    try:
        most = int(response.headers.get(_HEADER, BODY_MOST))
        raw, total = b"", 0
        for chunk in exchange.chunks(response):
            raw += chunk[: max(0, most - len(raw))]
            total += len(chunk)
        return json.loads(raw), total - len(raw)
    except Broken as exc:
        raise exchange.verdict.unanswered(str(exc)) from exc
    except ValueError:
        raise exchange.verdict.unanswered("the reply is no JSON that can be read") from None


def _checked(exchange: Exchange, document: t.Any, rest: int, stated: Stated) -> tuple[Tensor, ...]:
    try:
        found = tuple(_tensors(document["outputs"]).values())
        sizes = {str(one["name"]): _bytes(one) for one in document["outputs"]}
    except (TypeError, LookupError, ValueError):
        raise exchange.verdict.unanswered("the reply has no outputs that can be read") from None
    wrong = [why for one in found if (why := _wrong(one, stated, sizes[one.name]))]
    binary = sum(size for size in sizes.values() if size is not None)
    if wrong or not found:
        situation = f"the server on {exchange.question.where} answered with what its model does not state"
        raise exchange.verdict.error(
            situation, "; ".join(wrong) or "it holds no output", stage="answers", curable=False
        )
    if binary != rest:
        raise exchange.verdict.unanswered(f"the outputs have {binary} bytes, and {rest} came")
    return found


def _bytes(output: t.Any) -> int | None:
    """How many bytes are said to follow; None where the data is in the JSON."""
    size = (output.get("parameters") or {}).get("binary_data_size")
    if size is None and len(output["data"]) != math.prod(output["shape"]):
        raise ValueError("the data does not fill the shape")
    return None if size is None else int(size)


def _wrong(output: Tensor, stated: Stated, size: int | None) -> str | None:
    expected = stated.get(output.name)
    if expected is None:
        return f"output {output.name} is none of its model"
    if output.datatype != expected.datatype:
        return f"output {output.name} is of type {output.datatype}, and not {expected.datatype}"
    fits = len(output.shape) == len(expected.shape) and all(
        want in (-1, have) for want, have in zip(expected.shape, output.shape)
    )
    if not fits:
        return f"output {output.name} has the shape {list(output.shape)}, and not {list(expected.shape)}"
    least = math.prod(output.shape) * _WIDTHS.get(output.datatype, 0)
    if size is not None and (size < least or (size > least and output.datatype != "BYTES")):
        return f"output {output.name} has {size} bytes, and its shape takes {least}"
    return None
