# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Ollama: ``ollama serve`` reads ``OLLAMA_*`` variables, and is given its model over its own API, once it runs."""

from __future__ import annotations

import re
import typing as t

from .....module_utils._preflight import parse_ip
from ...built import Data
from ..flags import Flags
from .base import TEXT, Engine, Lifecycle, quoted

if t.TYPE_CHECKING:
    from ..instance import Instance

_PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_SERVED = re.compile(f"{_PART}(:{_PART})?\\Z")

# A model that it has already, under this name, it takes again; what it says on the way is a picture for a terminal.
# Others, such as that of an earlier name, would be served as well.
_TAKE_MODEL = (
    'served="$1" model="$2"; shift 2; '
    'until "$@" list >/dev/null 2>&1; do kill -0 "$MAINPID" 2>/dev/null || exit 1; sleep 0.2; done; '
    """said=$(printf 'FROM %s\\n' "$model" | "$@" create "$served" -f /dev/stdin 2>&1) || """
    """{ printf '%s\\n' "$said" | tail -n 1 >&2; exit 1; }; """
    '"$@" list | while read -r name _rest; do case "$name" in NAME|"$served"|"$served:latest") ;; '
    '*) "$@" rm "$name" </dev/null >/dev/null;; esac; done; '
    # What it has now is what it was given. Whoever reaches its API can change that.
    '"$@" list | while read -r name digest _rest; do [ "$name" = NAME ] || printf "%s %s\\n" "$name" "$digest"; done '
    '>"$CACHE_DIRECTORY/models.new" && mv "$CACHE_DIRECTORY/models.new" "$CACHE_DIRECTORY/models"'
)


class Ollama(Engine):
    name = "ollama"
    program = "/usr/bin/ollama"
    image_program = "ollama"
    documentation = "https://docs.ollama.com"
    model = "a GGUF file"
    model_kind = "file"
    takes_key = False
    # A stop cuts open answers. It starts a program for each model, and reads the size of the memory in /proc.
    lifecycle = Lifecycle(stop_s=30, compiles=True, workers=True, keeps_cache=True)
    options = frozenset({"context_size", "parallel", *TEXT})
    reserved: t.Mapping[str, tuple[str, ...]] = {
        "host": ("OLLAMA_HOST",),
        "model": ("OLLAMA_MODELS",),
        "gpus": ("CUDA_VISIBLE_DEVICES",),
        "context_size": ("OLLAMA_CONTEXT_LENGTH",),
        "parallel": ("OLLAMA_NUM_PARALLEL",),
    }
    flags = Flags("ollama")
    variables = ("OLLAMA_",)

    def problems(self, instance: Instance) -> t.Iterator[str]:
        yield from super().problems(instance)
        if not _SERVED.match(instance.served_name):
            yield (
                f"has served_name {instance.served_name!r}, which ollama cannot give a model; use letters, digits, "
                "'-', '_' and '.', and a ':' before a tag"
            )

    def command(self, instance: Instance) -> list[str]:
        return [quoted(instance.binary or self.program), "serve"]

    def after_start(self, instance: Instance, program: t.Sequence[str]) -> list[str]:
        return ["/bin/sh", "-c", _TAKE_MODEL, "sh", instance.served_name, str(instance.model_path), *program]

    def question(self, instance: Instance) -> dict[str, t.Any]:
        # Where its unit notes the models that it was given: see after_start.
        return {**super().question(instance), "models_file": f"/var/cache/mlops-model-{instance.name}/models"}

    def environment(self, instance: Instance) -> Data:
        ip = parse_ip(instance.host)
        host = f"[{instance.host}]" if ip is not None and ip.version == 6 else instance.host
        return {
            "OLLAMA_HOST": f"{host}:{instance.port}",
            "OLLAMA_CONTEXT_LENGTH": instance.given.get("context_size"),
            "OLLAMA_NUM_PARALLEL": instance.given.get("parallel"),
            "OLLAMA_NO_CLOUD": 1,
            # A model that is loaded stays so; otherwise it goes after five minutes without a request.
            "OLLAMA_KEEP_ALIVE": "-1",
            "CUDA_VISIBLE_DEVICES": ",".join(instance.gpus) or None,
        }
