# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The server programs that the role ``model_server`` can run, by name."""

from __future__ import annotations

import typing as t

from .base import Engine
from .llama_cpp import LlamaCpp
from .ollama import Ollama
from .sglang import Sglang
from .tei import Tei
from .triton import Triton
from .vllm import Vllm

_ALL: tuple[Engine, ...] = (LlamaCpp(), Vllm(), Sglang(), Tei(), Ollama(), Triton())

ENGINES: t.Mapping[str, Engine] = {engine.name: engine for engine in _ALL}
DEFAULT = _ALL[0].name
