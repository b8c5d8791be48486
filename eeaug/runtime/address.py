"""Where a server is, and what proves to it who asks: secrets come from the environment alone."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from eeaug.errors import InputError

__all__ = ["CA", "CERTIFICATE", "HEADERS", "KEY", "TOKEN", "Address", "read"]

TOKEN, HEADERS = "EEAUG_REMOTE_TOKEN", "EEAUG_REMOTE_HEADERS"
CA, CERTIFICATE, KEY = "EEAUG_REMOTE_CA", "EEAUG_REMOTE_CERT", "EEAUG_REMOTE_KEY"
_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")  # RFC 9110, section 5


@dataclass(frozen=True)
class Address:
    """A server.

    Parameters
    ----------
    place : host, port and path, without the scheme
    tls : the context of https; None: http
    headers : of every request; they may hold secrets
    """

    place: str
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def read(processor: str, url: str, environment: Mapping[str, str] | None = None, *, option: bool = True) -> Address:
    """The server that runs the stages of a processor.

    Parameters
    ----------
    environment : of the process, if None. TOKEN_<PROCESSOR> or TOKEN is sent as ``Authorization: Bearer``; HEADERS
        holds further lines ``Name: value``; CA, CERTIFICATE and KEY name files in PEM
    option : whether it was given by --remote, for errors

    Raises
    ------
    InputError : the URL or one of these is none, or a secret would be sent where others can read it
    """
    environment = os.environ if environment is None else environment
    parts = urlsplit(url)
    where = f"--remote {processor}={_without_secret(url)}" if option else f"URL {_without_secret(url)}"
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"{where}: must be a URL such as http://host:8000 or https://host/path")
    if parts.username is not None or parts.password is not None:
        raise InputError(f"{where}: has a user or password in it; give a token by the environment, {TOKEN}")
    try:
        port = parts.port
    except ValueError as error:
        raise InputError(f"{where}: its port must be a number from 0 to 65535") from error
    headers = _headers(processor, environment)
    if headers and parts.scheme == "http" and not _loopback(parts.hostname):
        raise InputError(f"{where}: would send the token or headers of the environment unencrypted; use https://")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}{parts.path.rstrip('/')}"
    return Address(place, _tls(environment) if parts.scheme == "https" else None, headers)


def _headers(processor: str, environment: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    for line in filter(None, map(str.strip, environment.get(HEADERS, "").splitlines())):
        match = _LINE.fullmatch(line)
        if match is None:  # the line itself may be a secret
            raise InputError(f"{HEADERS} of the environment: each line must be `Name: value`")
        headers[match[1]] = match[2]
    of_processor = f"{TOKEN}_{re.sub(r'[^A-Za-z0-9]', '_', processor).upper()}"
    token = environment.get(of_processor) or environment.get(TOKEN)
    if token:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InputError(f"{TOKEN} of the environment: must be printable ASCII without spaces")
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    files = {name: environment.get(name) or None for name in (CA, CERTIFICATE, KEY)}
    for name, file in files.items():
        if file is not None and not Path(file).is_file():
            raise InputError(f"{name} of the environment: there is no file {file}")
    if files[KEY] is not None and files[CERTIFICATE] is None:
        raise InputError(f"{KEY} of the environment: needs {CERTIFICATE}, the certificate of this key")
    try:
        context = ssl.create_default_context(cafile=files[CA])
        if (certificate := files[CERTIFICATE]) is not None:
            context.load_cert_chain(certificate, files[KEY])
    except (ssl.SSLError, OSError) as error:
        given = ", ".join(f"{name}={file}" for name, file in files.items() if file is not None)
        raise InputError(f"{given}: cannot be used as PEM certificates and key: {error}") from error
    return context


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_secret(url: str) -> str:
    """Without what stands before an @: it may be a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else rest or url.rpartition("@")[2]
