"""CA bundles in memory, each certificate once: most bundles are all public authorities and one's own."""

import dataclasses
import hashlib

from mailtier.settings import pem as pem_blocks


@dataclasses.dataclass(slots=True)
class _Certificate:
    """A certificate and in how many bundles it stands."""

    text: str
    bundles: int = 0


class BundleStore:
    """Bundles by their hexadecimal SHA-256."""

    def __init__(self) -> None:
        self._certificates: dict[bytes, _Certificate] = {}
        self._bundles: dict[str, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._bundles)

    @property
    def size_bytes(self) -> int:
        """How much text is kept for all of them."""
        return sum(len(certificate.text) for certificate in self._certificates.values())

    def get(self, digest: str) -> str | None:
        """Return a bundle as PEM text; None where it is not kept."""
        found = self._bundles.get(digest)
        return None if found is None else "".join(self._certificates[key].text for key in found)

    def put(self, digest: str, text: str) -> None:
        """Keep a bundle."""
        self.drop(digest)
        keys = []
        for part in _parts(text):
            key = hashlib.sha256(part.encode()).digest()
            self._certificates.setdefault(key, _Certificate(part)).bundles += 1
            keys.append(key)
        self._bundles[digest] = tuple(keys)

    def drop(self, digest: str) -> None:
        """Forget a bundle, if it is kept."""
        for key in self._bundles.pop(digest, ()):
            certificate = self._certificates[key]
            certificate.bundles -= 1
            if not certificate.bundles:
                del self._certificates[key]


def _parts(text: str) -> list[str]:
    """Return what joined is the text: one certificate each, with what stands behind it."""
    begins = [block.at for block in pem_blocks.blocks(text)]
    starts = [0, *begins[1:]]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
