# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Text Embeddings Inference: ``text-embeddings-router`` takes arguments, and its key from the environment."""

from __future__ import annotations

import typing as t

from ...built import Data
from ..flags import Flags
from .base import Engine, Lifecycle, arguments, key_in_environment, log_problems, question, quoted

if t.TYPE_CHECKING:
    from ..instance import Instance


class Tei(Engine):
    name = "tei"
    program = "/usr/bin/text-embeddings-router"
    image_program = "text-embeddings-router"
    documentation = "https://huggingface.co/docs/text-embeddings-inference"
    model = "a directory with config.json, tokenizer.json and safetensors"
    model_kind = "directory"
    # A stop waits for open answers without a limit of its own; they are short. The libraries that it counts with on
    # CPUs bind threads and read the machine.
    lifecycle = Lifecycle(stop_s=30, compiles=True)
    options = frozenset[str]()
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("--hostname", "HOSTNAME"),
        "port": ("--port", "-p", "PORT"),
        "model": ("--model-id", "MODEL_ID", "--revision", "REVISION"),
        "served_name": ("--served-model-name", "SERVED_MODEL_NAME"),
        "api_key": ("--api-key", "API_KEY"),
        "gpus": ("CUDA_VISIBLE_DEVICES",),
    }
    tokens = ("--hf-token", "--hf-api-token", "HF_TOKEN", "HF_API_TOKEN")
    closed_paths = (
        *("/v1/embeddings", "/embeddings", "/embed", "/embed_all", "/embed_sparse", "/predict", "/rerank"),
        *("/similarity", "/tokenize", "/decode", "/vertex", "/invocations", "/"),
    )
    open_paths = ("/metrics", "/docs", "/api-doc/openapi.json")
    weights_on_gpus = True

    flags = Flags("tei")

    def problems(self, instance: Instance) -> t.Iterator[str]:
        yield from super().problems(instance)
        yield from log_problems(self, instance, "LOG_LEVEL")
        if len(instance.gpus) > 1:
            yield f"has {len(instance.gpus)} GPUs, and tei uses one; name one, and an instance for each"

    def command(self, instance: Instance) -> list[str]:
        given = {
            "--model-id": instance.model_path,
            # A name is no address to it, and then it listens on all of them.
            "--hostname": "127.0.0.1" if instance.host == "localhost" else instance.host,
            "--port": instance.port,
            "--served-model-name": instance.served_name,
        }
        key = [] if instance.key_file is None else key_in_environment("API_KEY")
        return [quoted(word) for word in (*key, instance.binary or self.program, *arguments(given))]

    def environment(self, instance: Instance) -> Data:
        return {
            "HF_HUB_DISABLE_TELEMETRY": 1,
            # Requests from web pages of other origins.
            "CORS_ALLOW_ORIGIN": "http://localhost",
            # Its first line holds the key.
            "LOG_LEVEL": None
            if instance.key_file is None
            else "info,text_embeddings_router=warn,text_embeddings_router::http=info",
            "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
        }

    def question(self, instance: Instance) -> dict[str, t.Any]:
        return question(instance, self.closed_paths, kind="embedding")
