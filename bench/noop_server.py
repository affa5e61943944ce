"""`auditseal serve` with one more endpoint, which reads a body and does nothing with it."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from auditseal.config import load_settings
from auditseal.http import server

_ANSWER = b'{"stream":"bench","seq":41,"status":"signed"}'
_create_app = server.create_app


def _with_noop(*parts) -> FastAPI:
    app = _create_app(*parts)

    async def noop(request: Request) -> Response:
        await request.body()
        return Response(_ANSWER, 201, media_type="application/json")

    app.add_api_route("/noop", noop, methods=["POST"])
    return app


if __name__ == "__main__":
    server.create_app = _with_noop
    server.run(load_settings().settings)
