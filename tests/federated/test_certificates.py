"""F1: TLS from our own authority and no other; a renewed certificate needs nothing of the partners."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from federated.certificates import make_authority, renew_certificate
from federated.errors import BadRequest


def certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())


def test_tls_works_with_our_authority_and_not_with_another(tmp_path: Path) -> None:
    make_authority(tmp_path / "a", ("localhost", "127.0.0.1"))
    make_authority(tmp_path / "b", ("localhost",))
    with pytest.raises(BadRequest, match="already"):
        make_authority(tmp_path / "a", ("localhost",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "a" / "server.pem", tmp_path / "a" / "server.key")
    for authority, works in (("a", True), ("b", False)):
        ours, theirs = socket.socketpair()
        client = ssl.create_default_context(cafile=str(tmp_path / authority / "ca.pem"))

        def serve(end: socket.socket = theirs) -> None:
            try:
                context.wrap_socket(end, server_side=True).close()
            except (ssl.SSLError, OSError):
                end.close()

        thread = threading.Thread(target=serve)
        thread.start()
        if works:
            client.wrap_socket(ours, server_hostname="localhost").close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                client.wrap_socket(ours, server_hostname="localhost")
        ours.close()
        thread.join()


def test_a_renewed_certificate_is_by_the_same_authority_for_the_same_names(tmp_path: Path) -> None:
    make_authority(tmp_path, ("hub.example.com", "127.0.0.1"), days=1)
    authority, old = (tmp_path / "ca.pem").read_bytes(), certificate(tmp_path)
    until = renew_certificate(tmp_path, ("hub.example.com", "127.0.0.1"))
    new = certificate(tmp_path)
    assert (tmp_path / "ca.pem").read_bytes() == authority
    new.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    assert until == new.not_valid_after_utc > old.not_valid_after_utc
    kind = x509.SubjectAlternativeName
    assert new.extensions.get_extension_for_class(kind).value == old.extensions.get_extension_for_class(kind).value


def test_without_the_authoritys_key_nothing_is_renewed(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="holds no authority"):
        renew_certificate(tmp_path, ("hub.example.com",))
