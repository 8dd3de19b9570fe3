"""A certificate authority for tests, and the keys and certificates of their servers."""

import dataclasses
import datetime as dt
import pathlib
import ssl

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A server's certificate chain and private key, as PEM files."""

    cert_path: pathlib.Path
    key_path: pathlib.Path

    def server_context(self, *, clients: "Authority | None" = None) -> ssl.SSLContext:
        """Return a context with which a server presents this certificate.

        Args:
            clients: Whose certificates the server demands of its clients; None to ask for none.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_path, self.key_path)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.ca_path)
        return context


class Authority:
    """A certificate authority whose certificate and leaves lie in one folder.

    Args:
        folder: Where the PEM files go; made if it is missing.
        is_kept: Whether its private key lies there too, so that the next one of the folder is the same.
    """

    def __init__(self, folder: pathlib.Path, *, is_kept: bool = False) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_path = folder / "ca.pem"
        key_path = folder / "ca.key"
        if is_kept and key_path.exists():
            self._authority = trustme.CA.from_pem(self.ca_path.read_bytes(), key_path.read_bytes())
            return
        self._authority = trustme.CA()
        if is_kept:
            key_path.touch(mode=0o600)
            self._authority.private_key_pem.write_to_path(str(key_path))
        self._authority.cert_pem.write_to_path(str(self.ca_path))

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, for a ConfigMap or a `caRef`."""
        return self.ca_path.read_text(encoding="ascii")

    def issue(
        self,
        *names: str,
        file_name: str = "server",
        loopback: bool = True,
        common_name: str | None = None,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
    ) -> Leaf:
        """Return a leaf certificate for `names`, written as `<file_name>.pem` and `<file_name>.key`.

        Args:
            names: DNS names (`*` allowed) and IP addresses for the subject's alternative names.
            file_name: The stem of both files; an earlier leaf of that stem is replaced.
            loopback: Whether localhost, 127.0.0.1 and ::1 are added to the names.
            common_name: Who a client is, for a server that goes by the subject.
            not_before: Start of validity, aware; long ago by default.
            not_after: End of validity, aware; far away by default.
        """
        all_names = dict.fromkeys((*names, *(_LOOPBACK if loopback else ())))
        leaf = self._authority.issue_cert(
            *all_names, common_name=common_name, not_before=not_before, not_after=not_after
        )
        paths = Leaf(
            cert_path=self._folder / f"{file_name}.pem",
            key_path=self._folder / f"{file_name}.key",
        )
        paths.cert_path.unlink(missing_ok=True)
        paths.key_path.touch(mode=0o600)
        for index, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(str(paths.cert_path), append=index > 0)
        leaf.private_key_pem.write_to_path(str(paths.key_path))
        return paths

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_path))


def write_signing_key(path: pathlib.Path) -> None:
    """Write a new P-256 private key in SEC 1 form (from which the apiserver also reads the public half)."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
