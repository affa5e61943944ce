"""A time-stamping authority on loopback, made with openssl."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIG = """
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256,sha384,sha512
accuracy = secs:1
ess_cert_id_alg = sha256
ess_cert_id_chain = no
"""


@dataclass
class Authority:
    url: str
    roots: Path


def _openssl(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True).stdout


def _make(folder: Path) -> None:
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    for name, subject in (("root", "/CN=A test root"), ("leaf", "/CN=A test authority")):
        _openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")
        _openssl(
            folder, "req", "-new", "-config", "tsa.cnf", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr"
        )
    extensions = ("-extfile", "tsa.cnf", "-days", "3650", "-sha256")
    _openssl(
        folder, "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-extensions", "root", *extensions,
        "-out", "root.pem",
    )  # fmt: skip
    _openssl(
        folder, "x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
        "-extensions", "leaf", *extensions, "-out", "leaf.pem",
    )  # fmt: skip


@contextmanager
def running_authority(folder: Path) -> Iterator[Authority]:
    """An authority with a root of its own; every answer is openssl's."""
    folder.mkdir(exist_ok=True)
    _make(folder)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                (folder / "query").write_bytes(query)
                _openssl(
                    folder, "ts", "-reply", "-config", "tsa.cnf", "-section", "authority", "-queryfile", "query",
                    "-signer", "leaf.pem", "-inkey", "leaf.key", "-out", "answer",
                )  # fmt: skip
                answer = (folder / "answer").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Authority(url=f"http://127.0.0.1:{server.server_port}/", roots=folder / "root.pem")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
