# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""SGLang: ``sglang serve`` takes its configuration from arguments, and its key from a file in YAML."""

from __future__ import annotations

import typing as t

from ...built import Data
from ..flags import Flags
from .base import OFFLINE, TEXT, Engine, Lifecycle, arguments, key_in_file, log_problems, quoted, share_problems

if t.TYPE_CHECKING:
    from ..instance import Instance

# In the unit's own /dev/shm, which is gone with the process.
_KEY_FILE = "/dev/shm/key.yaml"


class Sglang(Engine):
    name = "sglang"
    program = "/usr/bin/sglang"
    image_program = "sglang"
    documentation = "https://docs.sglang.io"
    in_environments = True
    model = "a directory with config.json and safetensors"
    model_kind = "directory"
    # A stop waits for open answers without a limit of its own.
    lifecycle = Lifecycle(start_limit_s=1800, stop_s=90, compiles=True, workers=True, keeps_cache=True)
    options = frozenset({"context_size", "parallel", "memory_share", *TEXT})
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("--host",),
        "port": ("--port", "--grpc-port", "--grpc-mode", "--smg-grpc-mode", "SGLANG_GRPC_PORT"),
        "model": ("--model", "--model-path", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        "served_name": ("--served-model-name",),
        "api_key": ("--api-key", "--admin-api-key"),
        "gpus": ("--device", "--base-gpu-id", "CUDA_VISIBLE_DEVICES"),
        "context_size": ("--context-length",),
        "parallel": ("--max-running-requests",),
        "memory_share": ("--mem-fraction-static",),
        "extra_args": ("--config",),
    }
    tokens = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    # Requests bring Python of their own to the first, and have programs run by the second.
    dangerous = ("--enable-custom-logit-processor", "--tool-server")
    closed_paths = (
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"),
        *("/generate", "/invocations", "/vertex_generate", "/encode", "/classify", "/api/chat", "/api/generate"),
    )
    # The key does not close what begins with /health, /ready and /metrics; this one runs the model.
    open_paths = ("/health_generate", "/metrics")

    weights_on_gpus = True
    lightens = (
        *("--cpu-offload-gb", "--offload-mode", "--offload-group-size", "--ple-offload-embedding"),
        *("--quantization", "--quantize-and-serve", "--modelopt-quant", "--rl-quant-profile", "--load-format"),
        "--nnodes",
    )

    flags = Flags("sglang")
    renamed: t.Mapping[str, tuple[str, ...]] = {
        "--cuda-graph-bs": ("--cuda-graph-bs-decode", "--cuda-graph-bs-prefill"),
        "--cuda-graph-max-bs": ("--cuda-graph-max-bs-decode", "--cuda-graph-max-bs-prefill"),
        "--disable-flashinfer": ("--attention-backend",),
        "--disable-flashinfer-sampling": ("--sampling-backend",),
        "--disable-mla": (),
        "--enable-deepep-moe": ("--moe-a2a-backend",),
        "--enable-ep-moe": ("--ep-size",),
        "--enable-flashinfer-cutlass-moe": ("--moe-runner-backend",),
        "--enable-flashinfer-mla": ("--attention-backend",),
        "--enable-flashinfer-trtllm-moe": ("--moe-runner-backend",),
        "--enable-mla": (),
        "--enable-triton-kernel-moe": ("--moe-runner-backend",),
        "--schedule-heuristic": ("--schedule-policy",),
        "--torchao-config": (),
    }
    variables = ("SGLANG_",)

    def meant(self, word: str) -> str:
        name = super().meant(word)
        return name if name in self.renamed else self.flags.completed(name)

    def problems(self, instance: Instance) -> t.Iterator[str]:
        yield from super().problems(instance)
        yield from share_problems(instance)
        if (instance.api_key or "").startswith("-"):
            yield "has an api_key that begins with '-', which sglang takes for an argument; set another one"
        yield from log_problems(self, instance, "--log-level", "SGLANG_LOGGING_CONFIG_PATH")

    def command(self, instance: Instance) -> list[str]:
        key = instance.key_file is not None
        given = {
            "--model-path": instance.model_path,
            "--host": instance.host,
            "--port": instance.port,
            "--served-model-name": instance.served_name,
            "--context-length": instance.given.get("context_size"),
            "--max-running-requests": instance.given.get("parallel"),
            "--mem-fraction-static": instance.given.get("memory_share"),
            "--tp-size": len(instance.gpus) or None,
            "--device": None if instance.gpus else "cpu",
            "--config": _KEY_FILE if key else None,
            # One level below, its first line holds the key.
            "--log-level": "warning" if key else None,
        }
        words = [*(key_in_file(_KEY_FILE, "api-key") if key else ()), instance.binary or self.program, "serve"]
        return [quoted(word) for word in (*words, *arguments(given))]

    def environment(self, instance: Instance) -> Data:
        return {
            **OFFLINE,
            # Otherwise its health runs the model: for whoever asks, and a second long.
            "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": 0,
            # Its processes meet on loopback.
            "SGLANG_HOST_IP": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
            "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
        }
