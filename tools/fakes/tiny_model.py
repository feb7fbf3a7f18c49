#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny random llama model as a GGUF file: a real load, prompt and decode for a real server, in half a megabyte.

It speaks nonsense, in printable ASCII, and never ends by itself: the rows of the output matrix are arranged so that
control tokens and unprintable bytes are out of reach. The same seed gives the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import pathlib
import random
import string
import sys
import typing as t

import gguf
import numpy

CONTEXT = 512
EMBEDDING = 64
HEADS = 4  # head size 16
FEED_FORWARD = 128
LAYERS = 2
WORDS = ("the", "model", "host", "serves", "a", "tiny", "answer", "and", "runs", "on", "every", "machine")

# Dimension 0 of the hidden state is a constant that no layer writes to. What must never be said gets this weight there.
_CONSTANT = 2.0
_NEVER = -24.0

_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

BROKEN = {
    "says-nothing": "a model that loads, and ends every answer before its first token",
    "tensors-missing": "valid metadata, no tensors",
    "truncated": "a good file whose second half is missing",
    "wrong-magic": "a good file that does not begin with GGUF",
    "unknown-architecture": "a good file of an architecture that no server knows",
}


def vocabulary() -> tuple[list[bytes], list[float], list[int]]:
    """Pieces, scores and types of a SentencePiece vocabulary that falls back to bytes."""
    kinds = gguf.TokenType
    pieces = [b"<unk>", b"<s>", b"</s>"]
    scores = [0.0, 0.0, 0.0]
    types = [int(kinds.UNKNOWN), int(kinds.CONTROL), int(kinds.CONTROL)]
    for byte in range(256):
        pieces.append(f"<0x{byte:02X}>".encode())
        scores.append(0.0)
        types.append(int(kinds.BYTE))
    for rank, word in enumerate(WORDS):
        pieces.append("\u2581".encode() + word.encode())
        scores.append(-float(rank + 1))
        types.append(int(kinds.NORMAL))
    return pieces, scores, types


def sampled(pieces: list[bytes]) -> list[bool]:
    """For each piece, whether the model may say it: words, and bytes that print."""
    printable = {f"<0x{ord(char):02X}>".encode() for char in string.ascii_letters + string.digits + " .,"}
    return [piece in printable or piece.startswith("\u2581".encode()) for piece in pieces]


class _Weights:
    """Random matrices from a generator whose stream is the same on every Python."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def matrix(self, rows: int, columns: int, scale: float) -> t.Any:
        values = [self._random.uniform(-scale, scale) for _ in range(rows * columns)]
        return numpy.array(values, dtype=numpy.float32).reshape(rows, columns)

    def into_hidden(self, columns: int) -> t.Any:
        """A matrix whose result is added to the hidden state: it leaves the constant dimension alone."""
        found = self.matrix(EMBEDDING, columns, 1 / math.sqrt(columns))
        found[0, :] = 0
        return found


def tensors(seed: int, pieces: list[bytes], may_say: list[bool]) -> t.Iterator[tuple[str, t.Any]]:
    """Names and values of all tensors."""
    weights = _Weights(seed)
    ones: t.Any = numpy.ones(EMBEDDING, dtype=numpy.float32)
    square = 1 / math.sqrt(EMBEDDING)
    embedding = weights.matrix(len(pieces), EMBEDDING, 1.0)
    embedding[:, 0] = _CONSTANT
    yield "token_embd.weight", embedding
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", ones
        for name in ("attn_q", "attn_k", "attn_v"):
            yield f"{block}.{name}.weight", weights.matrix(EMBEDDING, EMBEDDING, square)
        yield f"{block}.attn_output.weight", weights.into_hidden(EMBEDDING)
        yield f"{block}.ffn_norm.weight", ones
        yield f"{block}.ffn_gate.weight", weights.matrix(FEED_FORWARD, EMBEDDING, square)
        yield f"{block}.ffn_up.weight", weights.matrix(FEED_FORWARD, EMBEDDING, square)
        yield f"{block}.ffn_down.weight", weights.into_hidden(FEED_FORWARD)
    yield "output_norm.weight", ones
    output = weights.matrix(len(pieces), EMBEDDING, 0.5)
    output[:, 0] = [0.0 if may else _NEVER for may in may_say]
    yield "output.weight", output


def write(path: pathlib.Path, *, seed: int = 1, name: str = "tiny", broken: str | None = None) -> str:
    """Write the model to ``path`` and return its sha256."""
    architecture = "nonesuch" if broken == "unknown-architecture" else "llama"
    pieces, scores, types = vocabulary()
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(pieces))
    writer.add_file_type(int(gguf.LlamaFileType.ALL_F32))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(_CHAT_TEMPLATE)
    if broken != "tensors-missing":
        may_say = sampled(pieces) if broken != "says-nothing" else [piece == b"</s>" for piece in pieces]
        for tensor, value in tensors(seed, pieces, may_say):
            writer.add_tensor(tensor, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = path.read_bytes()
    if broken == "truncated":
        content = content[: len(content) // 2]
    elif broken == "wrong-magic":
        content = b"JUNK" + content[4:]
    if broken in ("truncated", "wrong-magic"):
        path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def main(argv: list[str] | None = None) -> int:
    kinds = "; ".join(f"{kind}: {words}" for kind, words in BROKEN.items())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=pathlib.Path, help="the file to write")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another model (default: %(default)s)")
    parser.add_argument("--name", default="tiny", help="name in the metadata (default: %(default)s)")
    parser.add_argument("--broken", choices=sorted(BROKEN), help=f"write a model that cannot serve. {kinds}")
    options = parser.parse_args(argv)
    digest = write(options.path, seed=options.seed, name=options.name, broken=options.broken)
    print(f"{digest}  {options.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
