# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``tools/engine_flags.py`` reads in the help of a program. The lines are of the real ones."""

from __future__ import annotations

import io

import pytest

from tools import engine_flags
from tools.engine_flags import flags

VLLM = """\
usage: vllm serve [model_tag] [options]

  Use `--help=all` to show all available flags at once.

options:
  --api-server-count API_SERVER_COUNT, -asc API_SERVER_COUNT
                        How many API server processes to run. Defaults to
                        --data-parallel-size if not specified. (default: None)
  -h, --help            show this help message and exit
  --allow-credentials, --no-allow-credentials
                        Allow credentials. (default: False)

When passing JSON CLI arguments, the following sets of arguments are equivalent:
   --json-arg '{"key1": "value1", "key2": {"key3": "value2"}}'
"""
LLAMA = """\
----- common params -----

-h,    --help, --usage                  print usage and exit
-C,    --cpu-mask M                     CPU affinity mask: arbitrarily long hex. Complements --cpu-range
--sse-ping-interval N                   server SSE ping interval in seconds (-1 = disabled, default: 30)
                                        (env: LLAMA_ARG_SSE_PING_INTERVAL)
"""
TEI = """\
Usage: text-embeddings-router [OPTIONS] --model-id <MODEL_ID>

Options:
      --dtype <DTYPE>
          The dtype to be forced upon the model

          [env: DTYPE=]
          [possible values: float16, float32]

  -p, --port <PORT>
          The port to listen on

          [env: PORT=]
          [default: 3000]
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (VLLM, ["--allow-credentials", "--api-server-count", "--help", "--no-allow-credentials", "-asc", "-h"]),
        (
            LLAMA,
            ["--cpu-mask", "--help", "--sse-ping-interval", "--usage", "-C", "-h", "LLAMA_ARG_SSE_PING_INTERVAL"],
        ),
        (TEI, ["--dtype", "--port", "-p", "DTYPE", "PORT"]),
        ("vllm: error: no such option\n", []),
    ],
    ids=["vllm", "llama-server", "tei", "no-help"],
)
def test_flags_are_those_that_are_defined(text, names):
    assert flags(text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VLLM, None),
        (VLLM.replace("--allow-credentials,", "--allow-logins,"), "--allow-logins is new, --allow-credentials is gone"),
        ("vllm: error: no such option\n", "-asc is gone"),
    ],
)
def test_what_differs_from_what_is_noted_is_named(tmp_path, monkeypatch, capsys, text, said):
    names = ["--allow-credentials", "--api-server-count", "--help", "--no-allow-credentials", "-asc", "-h", "VLLM_PORT"]
    (tmp_path / "vllm.txt").write_text("".join(f"{line}\n" for line in ("# vllm 1", *names)))
    monkeypatch.setattr(engine_flags, "FLAGS", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    if said:
        with pytest.raises(SystemExit, match=said):
            engine_flags.check("vllm")
    else:
        engine_flags.check("vllm")
        assert capsys.readouterr().out == "6 flags, as noted\n"
