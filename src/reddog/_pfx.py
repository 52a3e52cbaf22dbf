"""Certificates and keys of PFX files (PKCS #12) from strangers, read in a process of its own.

Such a file says how often its password is to be hashed, and how much memory that takes; while `cryptography` does so,
no other thread of the process runs.
"""

from __future__ import annotations

import subprocess
import sys

CPU_SECONDS = 3
PATIENCE = 60.0  # seconds, on a busy machine
_MEMORY = 1 << 30  # bytes
_LENGTH = 4  # bytes of a length, between the two processes


def read_pfx(data: bytes, password: str) -> tuple[bytes, bytes]:
    """The certificate of a PFX file and its private key (PKCS #8), as DER; empty where it holds none.

    :raises ValueError: it cannot be read with that password, or takes too much.
    """
    secret = password.encode()
    command = [sys.executable, "-m", __name__]
    given = len(secret).to_bytes(_LENGTH) + secret + data
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError("reading it takes too long") from None
    if done.returncode:
        raise ValueError("it cannot be read, or reading it takes too much")
    length = int.from_bytes(done.stdout[:_LENGTH])
    return done.stdout[_LENGTH : _LENGTH + length], done.stdout[_LENGTH + length :]


def _main() -> None:
    import resource

    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = sys.stdin.buffer.read()
    end = _LENGTH + int.from_bytes(given[:_LENGTH])
    key, certificate, others = pkcs12.load_key_and_certificates(given[end:], given[_LENGTH:end] or None)
    if key is None and certificate is None and others:  # which is whose is told by a key alone
        certificate = others[0]
    shown = certificate.public_bytes(Encoding.DER) if certificate is not None else b""
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) if key is not None else b""
    sys.stdout.buffer.write(len(shown).to_bytes(_LENGTH) + shown + secret)


if __name__ == "__main__":
    _main()
