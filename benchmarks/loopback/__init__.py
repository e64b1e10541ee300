"""The source and sink of a benchmark, on 127.0.0.1 while a block runs: server.c, compiled when it is wanted."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_SOURCE = Path(__file__).with_name("server.c")


@dataclass(frozen=True)
class Loopback:
    """A running server."""

    url: str  # http://127.0.0.1:PORT or https://127.0.0.1:PORT
    authority: Path | None  # the certificate that a client has to trust, with TLS
    pid: int

    def cpu_seconds(self) -> float:
        """What the server has used so far, user and system. Linux only."""
        # Source: proc_pid_stat(5): fields 14 and 15, behind the name in brackets.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def received_bytes(self, bucket: str, key: str) -> int:
        """The length of an object of the sink; 0 when there is none."""
        _, _, place = self.url.partition("://")
        connection = (
            http.client.HTTPSConnection(place, context=ssl.create_default_context(cafile=self.authority))
            if self.authority
            else http.client.HTTPConnection(place)
        )
        connection.request("HEAD", f"/{bucket}/{key}")
        answer = connection.getresponse()
        connection.close()
        return int(answer.headers["Content-Length"]) if answer.status == 200 else 0


@contextmanager
def serving(photo_bytes: int, *, tls: bool = False) -> Iterator[Loopback]:
    """A server of photos of that length, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(_compiled(Path(folder))), str(photo_bytes)]
        authority = None
        if tls:
            authority, *chain = _certificates(Path(folder))
            command += map(str, chain)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                port = int(server.stdout.readline())
                yield Loopback(f"{'https' if tls else 'http'}://127.0.0.1:{port}", authority, server.pid)
            finally:
                server.stdin.close()


def _compiled(folder: Path) -> Path:
    """The server's program; ends this process when it cannot be had."""
    program = folder / "server"
    command = ["cc", "-O2", "-pthread", "-o", str(program), str(_SOURCE), "-lssl", "-lcrypto"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip()
        sys.exit(f"{reason}\n{_SOURCE} did not compile. Install: apt-get install gcc libc6-dev libssl-dev")
    return program


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files of an authority of our own, of a certificate for 127.0.0.1, and of its key."""
    authority, certificate, key = folder / "authority.pem", folder / "certificate.pem", folder / "key.pem"
    issuer = trustme.CA()
    issued = issuer.issue_cert("127.0.0.1", "localhost")
    issuer.cert_pem.write_to_path(authority)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    return authority, certificate, key
