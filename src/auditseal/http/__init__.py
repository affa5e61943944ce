"""The HTTP service: parse, call a service, render. `server.run` starts it, `app.create_app` makes the ASGI application.

Source: `docs/http.md`.
"""
