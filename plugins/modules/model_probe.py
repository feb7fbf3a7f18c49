#!/usr/bin/python
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: model_probe
short_description: Ask a model server something and measure the answer
description:
  - Sends one question to a server, and fails unless an answer comes back. The server has an OpenAI style API, such as
    vLLM, SGLang, llama.cpp, Ollama or Text Embeddings Inference, or it is Triton.
  - Of text, the chat route is asked first, and the completion route when the server has no chat route or the model has
    no chat template. The reply is streamed, so that the time to the first token can be told. It has at least one token.
  - When no answer comes, the message says how far the server came and what it said last.
version_added: 0.1.0
author:
  - The mlops.hosts founders (@mlops-hosts)
options:
  url:
    description: Address of the server as the host sees it, up to and not with C(/v1), such as V(http://127.0.0.1:8001).
    type: str
    required: true
  kind:
    description:
      - What to ask for. V(completion) is text, V(embedding) is the vector of O(prompt), which must hold finite numbers
        that are not all zero.
      - V(tensor) is what the model infers, over version 2 of the KServe protocol, as Triton speaks it. There must be an
        output, and each must have the type and the shape that the model states.
    type: str
    choices: [completion, embedding, tensor]
    default: completion
  model:
    description:
      - Model name to send. Without it, the first one that the server lists.
      - llama.cpp answers to any name. Where it matters which model answers, compare RV(model) in O(expect).
    type: str
  prompt:
    description: What to ask.
    type: str
    default: Hello
  max_tokens:
    description: How many tokens to ask for.
    type: int
    default: 8
  api_key:
    description: The API key, sent as bearer token.
    type: str
  api_key_file:
    description:
      - File on the host that holds the API key. The first of its lines that can be a key is sent as bearer token.
      - Empty lines, lines that begin with C(#), and lines with a blank or a carriage return in them are passed over.
    type: path
  expect_text:
    description: Text that the answer must contain. For V(completion) of O(kind).
    type: str
  expect:
    description:
      - JMESPath expression over the return values, such as V(ttft_s < `2`). The task fails when its value is false,
        null, zero or empty.
      - It is evaluated on the controller, which needs the Python library C(jmespath) for it. The host needs nothing.
    type: str
  closed_paths:
    description:
      - Paths that can run the model. With an API key, the same is asked there without one and with a wrong one, and the
        task fails unless the server refuses with status 401 or 403.
      - Without this option it is the path that answered. With an empty list nothing is asked.
    type: list
    elements: str
  inputs:
    description:
      - Inputs of the model for V(tensor). What is not named is sent as zeros, of the shape that the model states, in
        which a size that is open is 1.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the input.
        type: str
        required: true
      data:
        description: Its elements, in the order of its rows. Without them, zeros.
        type: list
        elements: raw
      shape:
        description: Its shape, instead of the one that the model states.
        type: list
        elements: int
  timeout_s:
    description: How long to wait for the whole answer, in seconds. With O(wait=true), how long to keep trying.
    type: float
    default: 60
  wait:
    description:
      - Keep asking until the server answers or O(timeout_s) is over.
      - What waiting cannot cure still fails at once, for example a wrong key, a model that the server does not have, or
        an answer without O(expect_text).
    type: bool
    default: false
  ca_path:
    description: PEM file on the host with the certificates to trust, instead of the host's own store.
    type: path
attributes:
  action:
    description: O(expect) is evaluated on the controller.
    support: full
  async:
    description: A task with C(async) cannot have O(expect).
    support: partial
  check_mode:
    description: The server is asked in check mode too. It changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Any host with Python.
    platforms: posix
    support: full
notes:
  - A question to C(127.0.0.1), C(::1) or C(localhost) never goes through a proxy from the environment.
seealso:
  - module: mlops.hosts.component
"""

EXAMPLES = r"""
- name: The model answers
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8001

- name: Wait for a large model to load
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8001
    model: chat
    api_key_file: /etc/chat/api-key
    wait: true
    timeout_s: 900

- name: The model knows a capital and is fast enough
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8001
    prompt: What is the capital of France? Answer with one word.
    max_tokens: 16
    expect_text: Paris
    expect: ttft_s < `2` && tokens_per_s > `20`

- name: The server of embeddings answers with a vector of the size that the index has
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8003
    kind: embedding
    expect: dimensions == `1024`

- name: A model of Triton infers
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8000
    kind: tensor
    model: resnet

- name: Look, and go on
  mlops.hosts.model_probe:
    url: http://127.0.0.1:8001
  register: probe
  failed_when: false

- name: Say how far it came
  ansible.builtin.debug:
    msg: "{{ probe.stage }}: {{ probe.msg | default('it answers') }}"
"""

RETURN = r"""
answered:
  description: Whether an answer came back.
  type: bool
  returned: always
model:
  description: Model that answered, as the server calls it. Null when none answered.
  type: str
  returned: always
  sample: chat
text:
  description: The answer, with what a reasoning model thought before it. Null without an answer of text.
  type: str
  returned: always
  sample: Hello! How can I help
tokens:
  description:
    - How many tokens the answer has, as counted by the server, or else the pieces of text that it came in.
    - Zero without an answer of text.
  type: int
  returned: always
  sample: 8
ttft_s:
  description:
    - Time from the request to the first text, in seconds. For a server that does not stream, to the whole reply.
    - Null without an answer.
  type: float
  returned: always
  sample: 0.0312
tokens_per_s:
  description: Tokens per second after the first. Null when the reply does not show it, for example with a single token.
  type: float
  returned: always
  sample: 61.2
finish_reason:
  description: Why the answer ended, such as V(stop) or V(length). Null when the server does not say.
  type: str
  returned: always
  sample: length
dimensions:
  description: How many numbers the vector has. Null without one.
  type: int
  returned: always
  sample: 1024
outputs:
  description: The tensors that came back. Empty without any.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the output.
      type: str
    datatype:
      description: Its type, such as V(FP32).
      type: str
    shape:
      description: Its shape.
      type: list
      elements: int
stage:
  description:
    - The furthest that the server was seen. V(process) means that nothing listens on the port, V(port) that it is open
      but gives no HTTP answer, V(loading) that it speaks HTTP and takes no questions yet.
    - V(answers) means that it takes questions; RV(answered) tells whether this one was answered.
    - Null when the options were refused before anything was asked.
  type: str
  returned: always
  sample: answers
models:
  description: Models that the server lists.
  type: list
  elements: str
  returned: when the server does not have the model
expectation:
  description: How O(expect) was met.
  type: dict
  returned: when O(expect) was evaluated
  contains:
    expression:
      description: The expression.
      type: str
    value:
      description: Its value.
      type: raw
"""

import ssl
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._errors import HostError
from ..module_utils._http_module import ModuleFetch
from ..module_utils._inference.answer import Answer, document
from ..module_utils._inference.ask import ask
from ..module_utils._inference.question import Question, read_api_key
from ..module_utils._inference.wait import wait_for_answer


def probe(params: dict[str, t.Any]) -> Answer:
    if params["expect"] is not None:
        raise HostError(
            "expect is evaluated by the action plugin; call the module by its full name, mlops.hosts.model_probe"
        )
    if params["ca_path"] is not None:
        try:
            ssl.create_default_context(cafile=params["ca_path"])
        except OSError as exc:
            raise HostError(f"no certificates can be read from {params['ca_path']}: {exc}") from exc
    question = Question(
        url=params["url"],
        kind=params["kind"],
        model=params["model"],
        prompt=params["prompt"],
        max_tokens=params["max_tokens"],
        api_key=read_api_key(params["api_key_file"]) if params["api_key_file"] else params["api_key"],
        expect=params["expect_text"],
        closed_paths=None if params["closed_paths"] is None else tuple(params["closed_paths"]),
        inputs=tuple(params["inputs"] or ()),
    )
    fetch = ModuleFetch(ca_path=params["ca_path"])
    if params["wait"]:
        return wait_for_answer(fetch, question, deadline_s=params["timeout_s"])[0]
    return ask(fetch, question, timeout_s=params["timeout_s"])


# The same keys, whatever came back.
_NO_ANSWER: dict[str, t.Any] = {
    **dict.fromkeys(("model", "text", "ttft_s", "tokens_per_s", "finish_reason", "dimensions", "stage")),
    "answered": False,
    "tokens": 0,
    "outputs": [],
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["completion", "embedding", "tensor"], "default": "completion"},
            "model": {"type": "str"},
            "prompt": {"type": "str", "default": "Hello"},
            "max_tokens": {"type": "int", "default": 8, "no_log": False},
            "api_key": {"type": "str", "no_log": True},
            "api_key_file": {"type": "path", "no_log": False},
            "expect_text": {"type": "str"},
            "expect": {"type": "str"},
            "closed_paths": {"type": "list", "elements": "str"},
            "inputs": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "data": {"type": "list", "elements": "raw"},
                    "shape": {"type": "list", "elements": "int"},
                },
            },
            "timeout_s": {"type": "float", "default": 60},
            "wait": {"type": "bool", "default": False},
            "ca_path": {"type": "path"},
        },
        mutually_exclusive=[("api_key", "api_key_file")],
        supports_check_mode=True,
    )
    try:
        answer = probe(module.params)
    except HostError as exc:
        module.fail_json(msg=str(exc), **{**_NO_ANSWER, "changed": False, **exc.details})
    module.exit_json(changed=False, **document(answer))


if __name__ == "__main__":
    main()
