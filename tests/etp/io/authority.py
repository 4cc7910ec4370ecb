"""Certificates made for a test."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_SINCE = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_UNTIL = dt.datetime(2125, 1, 1, tzinfo=dt.UTC)


class Authority:
    """A fleet's certificate authority: `context` gives a TLS 1.3 context for one of its members."""

    def __init__(self, directory: Path, name: str = "fleet") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = Ed25519PrivateKey.generate()
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(self._sign(self._name, self._key, ca=True).public_bytes(Encoding.PEM))

    def context(self, member: str, *, server_side: bool, demand: bool = True) -> ssl.SSLContext:
        key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member)])
        path = self._directory / f"{self.path.stem}-{member}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + self._sign(name, key).public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(path)
        context.load_verify_locations(self.path)
        if demand:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _sign(self, name: x509.Name, key: Ed25519PrivateKey, *, ca: bool = False) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_SINCE)
            .not_valid_after(_UNTIL)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("battery.test")]), critical=False)
        )
        return builder.sign(self._key, None)
