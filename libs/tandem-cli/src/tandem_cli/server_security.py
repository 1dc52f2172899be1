"""How embedded servers are secured where they are: for tests of what production does."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerSecurity:
    """Makes servers take clients by TLS only, each process as a user of its own."""

    server_pem: Path
    """The servers' private key (PKCS #8) and certificate, as PEM."""
    ca_pem: Path
    """The authority that clients verify them by."""
    admin_password: str
    """Of Kafka's user `admin`, whom no access rule restricts."""
