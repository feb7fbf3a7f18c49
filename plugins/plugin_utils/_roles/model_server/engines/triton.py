# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Triton Inference Server: ``tritonserver`` takes arguments, and serves what is in a model repository."""

from __future__ import annotations

import typing as t

from .....module_utils._preflight import parse_ip
from ...built import Data
from ..flags import Flags
from .base import OFFLINE, Engine, Lifecycle, arguments, question, quoted

if t.TYPE_CHECKING:
    from ..instance import Instance

# How long open requests have to end when the server is told to stop.
_DRAIN_S = 60
_KEYS = ("--http-restricted-api", "--grpc-restricted-protocol")


class Triton(Engine):
    name = "triton"
    program = "/opt/tritonserver/bin/tritonserver"
    image_program = program
    documentation = "https://docs.nvidia.com/deeplearning/triton-inference-server"
    model = "a model repository, which is a directory with one for each model"
    model_kind = "directory"
    takes_key = False
    # Its backends are any programs: they compile, and share memory.
    lifecycle = Lifecycle(stop_s=_DRAIN_S + 30, compiles=True, workers=True, keeps_cache=True)
    options = frozenset({"gate.inputs"})
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("--http-address",),
        "port": ("--http-port", "--allow-http", "--reuse-http-port"),
        "model": ("--model-repository", "--model-store"),
        "gpus": ("CUDA_VISIBLE_DEVICES",),
    }
    # With these, clients bring models of their own, which are programs.
    dangerous = ("--model-control-mode", "--allow-sagemaker")
    flags = Flags("triton")

    def meant(self, word: str) -> str:
        return self.flags.completed(super().meant(word))

    def problems(self, instance: Instance) -> t.Iterator[str]:
        yield from super().problems(instance)
        for word in instance.extra_args:
            if self.meant(word) in _KEYS:
                yield (
                    f"has {self.meant(word)} in extra_args, where others can read its value; put a gateway that asks "
                    "for a key before the server"
                )

    def command(self, instance: Instance) -> list[str]:
        ip = parse_ip(instance.host)
        # It takes no names, and an address of version 6 by a prefix only.
        host = "127.0.0.1" if ip is None else f"ipv6:{instance.host}" if ip.version == 6 else instance.host
        given = {
            "--model-repository": instance.model_path,
            "--http-address": host,
            "--http-port": instance.port,
            # Otherwise on all addresses, at ports that two servers cannot share.
            "--allow-grpc": "false",
            "--allow-metrics": "false",
            "--exit-timeout-secs": _DRAIN_S,
        }
        return [quoted(word) for word in (instance.binary or self.program, *arguments(given))]

    def environment(self, instance: Instance) -> Data:
        return {**OFFLINE, "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None}

    def question(self, instance: Instance) -> dict[str, t.Any]:
        inputs = [
            {name: value for name, value in one.items() if value is not None}
            for one in instance.gate.get("inputs") or ()
        ]
        return question(instance, (), kind="tensor", inputs=inputs or None)
