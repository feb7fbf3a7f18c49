#!/usr/bin/env python3
# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated model server: it infers nothing, and answers with the model that it reads in the request, as servers in
Python do (of two the last), with its own name, and with whether it was sent the right key. With ``"stream": true`` it
sends ``"max_tokens"`` events, 20 in a second. It says its tokens after them where ``"stream_options"`` is there, and
else with the last, as llama-server does. The server that ``"lost"`` names ends the connection in the place of an
answer, and that of ``"busy"`` answers with status 503.

    fake_model_reader.py PORT NAME [KEY [ADDRESS]]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys


async def body_of(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def asked(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, key: str | None) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {field.lower(): value.strip() for field, _, value in (line.partition(":") for line in head[1:])}
            request = asked(await body_of(reader, headers))
            if request.get("lost") == name:
                break
            allowed = key is None or headers.get("authorization") == f"Bearer {key}"
            choice = {"text": "x", "index": 0, "finish_reason": "length"}
            if allowed and request.get("stream") is True:
                await stream(writer, int(str(request.get("max_tokens", 8))), usage_after="stream_options" in request)
                continue
            tokens = int(str(request.get("max_tokens", 1)))
            said = {
                "server": name,
                "model": request.get("model"),
                "headers": sorted(headers),
                "choices": [choice],
                "usage": {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens},
            }
            text = json.dumps(said if allowed else {"error": "not allowed"}).encode()
            status = "200 OK" if allowed else "401 Unauthorized"
            if request.get("busy") == name:
                status = "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n".encode())
            writer.write(f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
    writer.close()


async def stream(writer: asyncio.StreamWriter, events: int, *, usage_after: bool) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": events}
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(1, events + 1):
        reason = "length" if number == events else None
        choice = {"text": f' "completion_tokens": 99{number}', "index": 0, "finish_reason": reason}
        data = {"choices": [choice], **({"usage": usage} if reason and not usage_after else {})}
        await send(writer, f"data: {json.dumps(data)}\n\n")
        await asyncio.sleep(0.05)
    if usage_after:
        whole = f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
        # A number can come in two parts.
        for part in (whole[:-6], whole[-6:]):
            await send(writer, part)
            await asyncio.sleep(0.05)
    await send(writer, "data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def send(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(f"{len(text):x}\r\n{text}\r\n".encode())
    await writer.drain()


async def main(port: int, name: str, key: str | None = None, address: str = "127.0.0.1") -> None:
    server = await asyncio.start_server(lambda r, w: answer(r, w, name, key), address, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
