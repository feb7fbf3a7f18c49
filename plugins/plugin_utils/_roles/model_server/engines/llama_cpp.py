# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""llama.cpp: ``llama-server`` reads its configuration from ``LLAMA_ARG_*`` variables."""

from __future__ import annotations

import typing as t

from ...built import Data
from ..flags import Flags
from .base import TEXT, Engine, Lifecycle, quoted

if t.TYPE_CHECKING:
    from ..instance import Instance


class LlamaCpp(Engine):
    name = "llama_cpp"
    program = "/usr/bin/llama-server"
    image_program = "/app/llama-server"
    documentation = "https://github.com/ggml-org/llama.cpp/tree/master/tools/server"
    packaged_for = ("Debian forky",)
    model = "a GGUF file"
    model_kind = "file"
    # It dies with a status that is not 0. A stop gives up open answers at once, and then waits in vain: for a stream
    # until the next ping to it, for any other as long as the client holds the connection.
    lifecycle = Lifecycle(stop_s=15)
    options = frozenset({"context_size", "parallel", "threads", "gpu_layers", *TEXT})
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("--host", "LLAMA_ARG_HOST"),
        "port": ("--port", "LLAMA_ARG_PORT"),
        "model": ("-m", "--model", "LLAMA_ARG_MODEL"),
        "served_name": ("-a", "--alias", "LLAMA_ARG_ALIAS"),
        "api_key": ("--api-key", "LLAMA_API_KEY"),
        "api_key_file": ("--api-key-file", "LLAMA_ARG_API_KEY_FILE"),
        "gpus": ("CUDA_VISIBLE_DEVICES",),
    }
    tokens = ("-hft", "--hf-token", "HF_TOKEN")
    dangerous = (
        *("--tools", "--tools-runtime", "--agent", "-ag", "--mcp-servers-config", "--mcp-servers-json"),
        *("--ui-mcp-proxy", "--webui-mcp-proxy"),
        *("LLAMA_ARG_TOOLS", "LLAMA_ARG_TOOLS_RUNTIME", "LLAMA_ARG_AGENT", "LLAMA_ARG_MCP_SERVERS_CONFIG"),
        *("LLAMA_ARG_MCP_SERVERS_JSON", "LLAMA_ARG_UI_MCP_PROXY"),
    )

    closed_paths = (
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"),
        *("/completion", "/infill", "/embedding", "/reranking"),
    )

    flags = Flags("llama_cpp")
    renamed: t.Mapping[str, tuple[str, ...]] = {
        **dict.fromkeys(("--mlock", "--mmap", "--no-mmap"), ("--load-mode",)),
        **dict.fromkeys(("LLAMA_ARG_MLOCK", "LLAMA_ARG_MMAP", "LLAMA_ARG_NO_MMAP"), ("LLAMA_ARG_LOAD_MODE",)),
    }
    variables = ("LLAMA_ARG_",)

    def command(self, instance: Instance) -> list[str]:
        key = [] if instance.key_file is None else ["--api-key-file", instance.credential]
        return [quoted(instance.binary or self.program), *key]

    def environment(self, instance: Instance) -> Data:
        return {
            "LLAMA_ARG_HOST": instance.host,
            "LLAMA_ARG_PORT": instance.port,
            "LLAMA_ARG_MODEL": instance.model_path,
            "LLAMA_ARG_ALIAS": instance.served_name,
            "LLAMA_ARG_CTX_SIZE": instance.given.get("context_size"),
            "LLAMA_ARG_N_PARALLEL": instance.given.get("parallel"),
            "LLAMA_ARG_THREADS": instance.given.get("threads"),
            "LLAMA_ARG_N_GPU_LAYERS": instance.given.get("gpu_layers"),
            # Closed unless desired: web UI (both its names), the slots endpoint, which shows prompts of others,
            # requests from web pages of other origins, and downloads.
            "LLAMA_ARG_UI": "off",
            "LLAMA_ARG_WEBUI": "off",
            "LLAMA_ARG_ENDPOINT_SLOTS": "off",
            "LLAMA_ARG_CORS_ORIGINS": "localhost",
            "LLAMA_ARG_CORS_CREDENTIALS": "off",
            "LLAMA_ARG_OFFLINE": "on",
            # A stop ends a stream with the next ping, which is 30 s away otherwise.
            "LLAMA_ARG_SSE_PING_INTERVAL": 5,
            "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
        }
