"""Certificates of PFX files (PKCS #12) from strangers, read in a process of its own.

Such a file says how often its password is to be hashed, and how much memory that takes; while `cryptography` does so,
no other thread of the process runs.
"""

from __future__ import annotations

import subprocess
import sys

CPU_SECONDS = 3
PATIENCE = 60.0  # seconds, on a busy machine
_MEMORY = 1 << 30  # bytes


def read_certificate(data: bytes, password: str) -> bytes | None:
    """The certificate of a PFX file as DER; None: it holds none.

    :raises ValueError: it cannot be read with that password, or takes too much.
    """
    secret = password.encode()
    command = [sys.executable, "-m", __name__]
    given = len(secret).to_bytes(4) + secret + data
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError("reading it takes too long") from None
    if done.returncode:
        raise ValueError("it cannot be read, or reading it takes too much")
    return done.stdout or None


def _main() -> None:
    import resource

    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = sys.stdin.buffer.read()
    end = 4 + int.from_bytes(given[:4])
    _, certificate, _ = pkcs12.load_key_and_certificates(given[end:], given[4:end] or None)
    if certificate is not None:
        sys.stdout.buffer.write(certificate.public_bytes(Encoding.DER))


if __name__ == "__main__":
    _main()
