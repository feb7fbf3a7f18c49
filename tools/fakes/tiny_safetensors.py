#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a tiny random llama model as a directory of safetensors: what vLLM and SGLang load, in a megabyte and a half.

It speaks nonsense, in printable ASCII, and never ends by itself. The same seed gives the same files, byte for byte.
Standard library only. The head size is 64: vLLM's attention kernels for CPUs take no smaller one.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import pathlib
import random
import string
import struct
import sys
import typing as t

CONTEXT = 2048
HIDDEN = 128
HEADS = 2
FEED_FORWARD = 256
LAYERS = 2
BEGIN, END = 256, 257
VOCABULARY = 258

# Dimension 0 of the hidden state is a constant that no layer writes to. What must never be said gets this weight there.
_CONSTANT = 2.0
_NEVER = -24.0

_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

BROKEN = {
    "says-nothing": "a model that loads, and ends every answer before its first token",
    "truncated": "weights whose second half is missing",
}


def symbols() -> list[str]:
    """The character by which a byte-level tokenizer writes each byte."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]


def tokenizer() -> dict[str, t.Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": BEGIN, "content": "<s>", **special}, {"id": END, "content": "</s>", **special}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {**{symbol: byte for byte, symbol in enumerate(symbols())}, "<s>": BEGIN, "</s>": END},
            "merges": [],
        },
    }


CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": HIDDEN // HEADS,
    "max_position_embeddings": CONTEXT,
    "vocab_size": VOCABULARY,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "torch_dtype": "float32",
}

TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "model_max_length": CONTEXT,
    "chat_template": _CHAT_TEMPLATE,
}

Tensor = tuple[str, tuple[int, ...], "array.array[float]"]


def tensors(seed: int, may_say: t.Collection[int]) -> t.Iterator[Tensor]:
    """Name, shape and values of each."""
    numbers = random.Random(seed)

    def matrix(name: str, rows: int, columns: int, *, scale: float, first_row: float | None = None) -> Tensor:
        values = array.array("f", (numbers.uniform(-scale, scale) for _ in range(rows * columns)))
        if first_row is not None:
            values[:columns] = array.array("f", [first_row] * columns)
        return name, (rows, columns), values

    def constant(tensor: Tensor, of: t.Callable[[int], float]) -> Tensor:
        name, (rows, columns), values = tensor
        for row in range(rows):
            values[row * columns] = of(row)
        return name, (rows, columns), values

    def ones(name: str) -> Tensor:
        return name, (HIDDEN,), array.array("f", [1.0] * HIDDEN)

    square, wide = 1 / math.sqrt(HIDDEN), 1 / math.sqrt(FEED_FORWARD)
    yield constant(matrix("model.embed_tokens.weight", VOCABULARY, HIDDEN, scale=1.0), lambda _row: _CONSTANT)
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        yield ones(f"{block}.input_layernorm.weight")
        for name in ("q_proj", "k_proj", "v_proj"):
            yield matrix(f"{block}.self_attn.{name}.weight", HIDDEN, HIDDEN, scale=square)
        yield matrix(f"{block}.self_attn.o_proj.weight", HIDDEN, HIDDEN, scale=square, first_row=0.0)
        yield ones(f"{block}.post_attention_layernorm.weight")
        for name in ("gate_proj", "up_proj"):
            yield matrix(f"{block}.mlp.{name}.weight", FEED_FORWARD, HIDDEN, scale=square)
        yield matrix(f"{block}.mlp.down_proj.weight", HIDDEN, FEED_FORWARD, scale=wide, first_row=0.0)
    yield ones("model.norm.weight")
    head = matrix("lm_head.weight", VOCABULARY, HIDDEN, scale=0.5)
    yield constant(head, lambda row: 0.0 if row in may_say else _NEVER)


def safetensors(found: t.Iterable[Tensor]) -> bytes:
    """Length of the header, the header as JSON, and the tensors one after the other."""
    header: dict[str, t.Any] = {"__metadata__": {"format": "pt"}}
    content = bytearray()
    for name, shape, values in found:
        start = len(content)
        content += struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, len(content)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(content)


def write(folder: pathlib.Path, *, seed: int = 1, broken: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    said = {END} if broken == "says-nothing" else {ord(char) for char in string.ascii_letters + string.digits + ".,"}
    weights = safetensors(tensors(seed, said))
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2] if broken == "truncated" else weights)
    for name, data in (
        ("config.json", CONFIG),
        ("generation_config.json", {"bos_token_id": BEGIN, "eos_token_id": END}),
        ("tokenizer.json", tokenizer()),
        ("tokenizer_config.json", TOKENIZER_CONFIG),
    ):
        (folder / name).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    kinds = "; ".join(f"{kind}: {words}" for kind, words in BROKEN.items())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=pathlib.Path, help="the directory to write")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another model (default: %(default)s)")
    parser.add_argument("--broken", choices=sorted(BROKEN), help=f"write a model that cannot serve. {kinds}")
    options = parser.parse_args(argv)
    write(options.folder, seed=options.seed, broken=options.broken)
    print(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
