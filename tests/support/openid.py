"""An OpenID provider on loopback that signs what a test tells it to."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "auditseal"


class Provider:
    """An OpenID provider with one RSA key, one P-256 key and one Ed25519 key."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "RS256": rsa.generate_private_key(65537, 2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }
        self.fetched = 0
        self.discovery: dict[str, Any] = {}
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = {
                    "/.well-known/openid-configuration": lambda: provider.discovery,
                    "/jwks": provider.key_set,
                }
                document = known.get(self.path)
                body = json.dumps(document()).encode() if document else b""
                self.send_response(200 if document else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.discovery = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def key_set(self) -> dict[str, Any]:
        self.fetched += 1
        keys = []
        for name, key in self.keys.items():
            algorithm = jwt.get_algorithm_by_name(name)
            members = algorithm.to_jwk(key.public_key(), as_dict=True)
            keys.append(members | {"kid": name, "use": "sig", "alg": name})
        return {"keys": keys}

    def token(self, algorithm: str = "RS256", *, key: Any = None, kid: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        given = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ci-job",
            "iat": now,
            "exp": now + 300,
            "roles": ["producer"],
            "auditseal_streams": ["ci/*"],
        } | claims
        present = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(present, key or self.keys[algorithm], algorithm, headers={"kid": kid or algorithm})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
