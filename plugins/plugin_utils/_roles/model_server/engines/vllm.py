# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""vLLM: ``vllm serve`` takes its configuration from arguments, and its key from the environment."""

from __future__ import annotations

import typing as t

from .....module_utils._ray import paths as ray
from ...built import Data
from ..flags import Flags
from .base import OFFLINE, TEXT, Engine, Lifecycle, arguments, key_in_environment, quoted, share_problems

if t.TYPE_CHECKING:
    from ..instance import Instance

# What an instance with ``hosts`` sets.
_SPREAD = (
    *("--distributed-executor-backend", "--pipeline-parallel-size", "-pp", "--tensor-parallel-size", "-tp"),
    *("--nnodes", "-n", "--node-rank", "--master-addr", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"),
    *("RAY_AUTH_TOKEN", "VLLM_HOST_IP", "VLLM_CONFIG_ROOT"),
)
# How long open answers have to end when the server is told to stop. Without it they are cut at once.
_DRAIN_S = 60


class Vllm(Engine):
    name = "vllm"
    program = "/usr/bin/vllm"
    image_program = "vllm"
    documentation = "https://docs.vllm.ai"
    in_environments = True
    model = "a directory with config.json and safetensors"
    model_kind = "directory"
    # It exits with status 0 when its engine core has died. A model that does not load takes minutes to say so; restarts
    # by hand count, too, so that the limit is no longer than five such starts.
    lifecycle = Lifecycle(
        restart="always",
        start_limit_s=1800,
        stop_s=_DRAIN_S + 30,
        compiles=True,
        workers=True,
        keeps_cache=True,
    )
    options = frozenset({"context_size", "parallel", "memory_share", "hosts", *TEXT})
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("--host",),
        "port": ("--port", "--uds", "--grpc", "--grpc-port", "--headless"),
        "model": ("--model", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        "served_name": ("--served-model-name",),
        "api_key": ("--api-key", "VLLM_API_KEY"),
        "gpus": ("CUDA_VISIBLE_DEVICES",),
        "context_size": ("--max-model-len",),
        "parallel": ("--max-num-seqs",),
        "memory_share": ("--gpu-memory-utilization", "--device-memory-utilization"),
    }
    tokens = ("--hf-token", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    dangerous = (
        *("--allowed-local-media-path", "--tool-server"),
        *("VLLM_SERVER_DEV_MODE", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_ALLOW_INSECURE_SERIALIZATION"),
    )
    closed_paths = (
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"),
        "/inference/v1/generate",
    )
    # The key closes what begins with /v1, /v2 and /inference.
    open_paths = (
        *("/invocations", "/generative_scoring", "/tokenize", "/detokenize", "/scale_elastic_ep"),
        *("/is_scaling_elastic_ep", "/kv_event_sources", "/metrics", "/load", "/version", "/docs", "/redoc"),
        "/openapi.json",
    )

    weights_on_gpus = True
    lightens = (
        *("--cpu-offload-gb", "--cpu-offload-params", "--offload-backend", "--offload-group-size"),
        *("--quantization", "-q", "--quantization-config", "--load-format", "--hf-overrides"),
        *("--nnodes", "-n", "--distributed-executor-backend"),
    )

    flags = Flags("vllm")
    renamed: t.Mapping[str, tuple[str, ...]] = {
        "--device": (),
        "--disable-async-output-proc": (),
        "--disable-log-requests": ("--no-enable-log-requests",),
        "--engine-use-ray": (),
        "--guided-decoding-backend": ("--structured-outputs-config",),
        "--max-seq-len-to-capture": (),
        "--num-scheduler-steps": (),
        "--num-speculative-tokens": ("--speculative-config",),
        "--override-neuron-config": (),
        "--override-pooler-config": ("--pooler-config",),
        "--preemption-mode": (),
        "--rope-scaling": ("--hf-overrides",),
        "--rope-theta": ("--hf-overrides",),
        "--scheduler-delay-factor": (),
        "--speculative-model": ("--speculative-config",),
        "--swap-space": (),
        "--task": ("--runner", "--convert"),
        "--tokenizer-pool-size": (),
        "--use-v2-block-manager": (),
    }
    variables = ("VLLM_",)

    def meant(self, word: str) -> str:
        """What follows a dot is a key of the value, -O needs no blank, and the beginning of one flag alone means it."""
        name = self.flags.meant(word).partition(".")[0]
        if name.startswith("-O"):
            return "--optimization-level"
        return name if name in self.renamed else self.flags.completed(name)

    def problems(self, instance: Instance) -> t.Iterator[str]:
        yield from super().problems(instance)
        yield from share_problems(instance)
        given = {self.meant(word) for word in instance.extra_args} | instance.environment.keys()
        for name in sorted(given.intersection(_SPREAD) if instance.hosts else ()):
            yield f"has {name} with hosts, which set it; leave it out"

    def command(self, instance: Instance) -> list[str]:
        given = {
            "--host": instance.host,
            "--port": instance.port,
            "--served-model-name": instance.served_name,
            "--shutdown-timeout": _DRAIN_S,
            "--max-model-len": instance.given.get("context_size"),
            "--max-num-seqs": instance.given.get("parallel"),
            "--gpu-memory-utilization": instance.given.get("memory_share"),
            "--tensor-parallel-size": len(instance.gpus) or None,
        }
        if instance.cluster:
            given |= {
                "--distributed-executor-backend": "ray",
                "--pipeline-parallel-size": len(instance.hosts),
                "--tensor-parallel-size": instance.cluster.gpus,
            }
        words = [instance.binary or self.program, "serve", str(instance.model_path), *arguments(given)]
        key = [] if instance.key_file is None else key_in_environment("VLLM_API_KEY")
        return [quoted(word) for word in (*key, *words)]

    def environment(self, instance: Instance) -> Data:
        quiet = {**OFFLINE, "VLLM_NO_USAGE_STATS": 1, "VLLM_DO_NOT_TRACK": 1, "DO_NOT_TRACK": 1}
        if instance.cluster:
            return {
                **quiet,
                **ray.AUTHENTICATION,
                "RAY_ADDRESS": instance.cluster.head,
                "VLLM_HOST_IP": instance.cluster.address,
                # vLLM hands its environment on to all hosts, and its key must not be among it.
                "VLLM_CONFIG_ROOT": ray.VLLM,
            }
        return {
            **quiet,
            # Its processes meet on loopback. Without these they listen on the address that the name of the host has.
            "VLLM_HOST_IP": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
            "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
        }
