"""Stages on a server decide as they do here, however bad the connection; without an answer the last exit stands."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from remote_parts import CLASSES, WIDTH, Arrays, Parts, Served, serving, through

from eeaug.bundle.device_entries import IDENTITY
from eeaug.cascade.encoding import Encoding
from eeaug.cascade.predictions import Predictions
from eeaug.errors import ConversionError, InputError
from eeaug.hardware.fields import ENCODINGS
from eeaug.runtime import Cascade, address, journey, link

FAULTS = ("delay", "drop", "truncate", "cut", "busy", "garble", "reorder")
PLACES = (
    ("near", "cloud"), ("near", "near", "cloud", "cloud"), ("near", "cloud", "near"),
    ("near", "cloud", "cloud", "near", "cloud"), ("cloud", "near"), ("cloud", "cloud"),
)  # fmt: skip


def samples(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(n).normal(0, 1, (n, WIDTH)).astype(np.float32)


def same(a: Predictions, b: Predictions) -> bool:
    """But for the last bit: NumPy's exp and log give a row that stands at the end of an array another one."""
    exact = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("classes", "names", "exits"))
    return exact and all(
        np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-6)
        for name in ("confidences", "probabilities")
    )


@pytest.fixture
def parts() -> Parts:
    return Parts(("near", "near", "cloud", "cloud"))


@pytest.fixture
def served(parts: Parts) -> Iterator[Served]:
    with serving(parts.models()) as server:
        yield server


def nowhere() -> str:
    """A port at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("processors", PLACES, ids="-".join)
def test_a_server_changes_nothing(processors: tuple[str, ...], reuse: bool) -> None:
    parts = Parts(processors, reuse)
    x, here = samples(500), Parts(processors, reuse).cascade()
    with serving(parts.models()) as server, parts.cascade(server.url) as there:
        assert same(there.predict(x), here.predict(x))
        assert same(asyncio.run(there.predict_async(x, batch=7)), here.predict(x))
        assert not there.predict(x).fallback.any()
        assert there.predict(x[:0]).fallback.shape == (0,)
        for k in range(4):
            assert same(there.predict(x[k : k + 1]), here.predict(x[k : k + 1]))
        for one, other in zip(there.answers(x[:50]), here.answers(x[:50]), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("processors", PLACES, ids="-".join)
def test_answers_wait_for_a_server_that_is_behind(
    processors: tuple[str, ...], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they bring goes into buffers, and whoever asks may still read one."""
    monkeypatch.setattr(journey, "AT_ONCE", at_once)
    parts, x = Parts(processors, True), samples(500)
    with serving(parts.models()) as server, parts.cascade(server.url) as there:
        for batch in (2, 3, 5, 7, 16):
            assert same(there.predict(x, batch=batch), Parts(processors, True).cascade().predict(x))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ENCODINGS)
def test_fewer_bits(kind: str, compressed: bool) -> None:
    """The server is sent what the encoding makes of a hand-over; here stages are given what arrives."""
    encoding = Encoding.of(kind, -1.0, 1.0, compressed)
    parts = Parts(("near", "cloud", "near", "cloud", "cloud"), encoding=encoding)
    x = samples(300)
    with serving(parts.models()) as server, parts.cascade(server.url) as there:
        assert same(there.predict(x), parts.cascade().predict(x))
    assert {headers.get("Content-Encoding") for headers in server.headers} == {"gzip" if compressed else None}


def test_tensors_within_json(parts: Parts) -> None:
    x = samples(100)
    with serving(parts.models(), extensions=()) as server, parts.cascade(server.url) as there:
        np.testing.assert_array_equal(there.predict(x).exits, parts.cascade().predict(x).exits)


def test_requests_are_full(parts: Parts, served: Served) -> None:
    with parts.cascade(served.url) as there:
        there.predict(samples(5_000))
    assert set(served.rows[:-1]) == {32}


@pytest.mark.parametrize("batch", [64, 65, 200])
def test_more_rows_than_a_model_takes(batch: int) -> None:
    parts, x = Parts(("near", "cloud", "cloud", "near")), samples(700)
    with serving(parts.models()) as server, parts.cascade(server.url) as there:
        assert same(there.predict(x, batch=batch), parts.cascade().predict(x, batch=batch))
        for one, other in zip(there.answers(x), parts.cascade().answers(x), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        assert max(server.rows) <= 64


def test_threads_share_a_cascade(parts: Parts, served: Served) -> None:
    x, expected = samples(400), parts.cascade().predict(samples(400))
    right = []
    with parts.cascade(served.url) as there:
        threads = [
            threading.Thread(target=lambda: right.append(same(there.predict(x), expected))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert right == [True] * 8


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_connection_changes_nothing(parts: Parts, served: Served, fault: str) -> None:
    x, expected, rng = samples(3_000), parts.cascade().predict(samples(3_000)), random.Random(3)
    with (
        through(served.url, lambda: fault if rng.random() < 0.3 else None) as (url, proxy),
        parts.cascade(url) as there,
    ):
        answers = there.predict(x)
    assert proxy.counts[fault] > 3
    assert not answers.fallback.any()
    assert same(answers, expected)


def test_lost_requests_are_sent_again(parts: Parts, served: Served) -> None:
    """One in ten is never answered; the second of the three that fit into the deadline mostly is."""
    x, expected, rng = samples(1_500), parts.cascade().predict(samples(1_500)), random.Random(5)
    lost = through(served.url, lambda: "stall" if rng.random() < 0.1 else None)
    with lost as (url, proxy), parts.cascade(url, deadline_s=1.0) as there:
        answers = there.predict(x)
    assert proxy.counts["stall"]
    assert same(answers, expected) or answers.fallback.any()
    kept = ~answers.fallback
    assert np.array_equal(answers.classes[kept], expected.classes[kept])


def last_near(parts: Parts, x: NDArray[np.float32]) -> Predictions:
    """What the stages here say, the last of them of all that come to it."""
    near = [k for k, name in enumerate(parts.processors) if name != "cloud"]
    whole = parts.cascade()
    stages = [
        replace(stage, handover=stage.handover if k != near[-1] else None) for k, stage in enumerate(whole.stages)
    ]
    return Cascade(
        whole.decision, tuple(stages[: near[-1] + 1]), whole.sessions[: near[-1] + 1], whole.points, "default",
        whole.manifest,
    ).predict(x)  # fmt: skip


@pytest.mark.parametrize("reuse", [False, True])
def test_without_a_server_the_last_exit_stands(reuse: bool) -> None:
    parts, x = Parts(("near", "near", "cloud"), reuse), samples(300)
    with parts.cascade(nowhere(), deadline_s=0.2) as there:
        answers = there.predict(x)
    expected, whole = last_near(parts, x), parts.cascade().predict(x)
    assert same(answers, expected)
    assert np.array_equal(answers.fallback, whole.exits == 2)
    assert answers.fallback.any()
    assert not answers.fallback.all()
    assert "127.0.0.1" in str(answers.unanswered)


def test_without_a_server_and_without_an_exit_before_it() -> None:
    alone = pytest.raises(ConversionError, match="no stage of this bundle runs before the server")
    with Parts(("cloud", "near")).cascade(nowhere(), deadline_s=0.1) as there, alone:
        there.predict(samples(5))


def test_a_slow_server_is_not_waited_for(parts: Parts, served: Served) -> None:
    with through(served.url, lambda: "stall") as (url, _), parts.cascade(url, deadline_s=0.15) as there:
        answers = there.predict(samples(40))
    assert np.array_equal(answers.fallback, parts.cascade().predict(samples(40)).exits > 1)


def test_another_model_is_noticed(parts: Parts, served: Served) -> None:
    model = served.models["chain2"]
    served.models["chain2"] = lambda given: {
        name: array + 1 if array.dtype == np.int64 else array for name, array in model(given).items()
    }
    with parts.cascade(served.url) as there, pytest.raises(ConversionError, match="chain2 is not the bundle's"):
        there.predict(samples(100))


def test_a_missing_model_is_named(parts: Parts, served: Served) -> None:
    del served.models["chain2"]
    with parts.cascade(served.url) as there, pytest.raises(ConversionError, match="has no model chain2"):
        there.predict(samples(100))


@pytest.mark.parametrize("array", [np.nan, np.inf])
def test_figures_that_are_none(parts: Parts, served: Served, array: float) -> None:
    model = served.models["chain2"]
    served.models["chain2"] = lambda given: {
        name: values * np.float32(array) if values.dtype == np.float32 else values
        for name, values in model(given).items()
    }
    with parts.cascade(served.url, deadline_s=0.2) as there:
        answers = there.predict(samples(100))
    assert np.isfinite(answers.probabilities).all()
    assert "not finite" in str(answers.unanswered)


def test_a_token_goes_with_every_request(parts: Parts, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EEAUG_REMOTE_TOKEN", "abc")
    monkeypatch.setenv("EEAUG_REMOTE_TOKEN_CLOUD", "def")
    monkeypatch.setenv("EEAUG_REMOTE_HEADERS", "X-Fleet: 7\nX-Site: north hall")
    with parts.cascade(served.url) as there:
        there.predict(samples(100))
    for headers in served.headers:
        assert (headers["Authorization"], headers["X-Fleet"], headers["X-Site"]) == (
            "Bearer def",
            "7",
            "north hall",
        )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_a_server_with_a_certificate(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an authority that is named; else it is an error, and nothing is asked."""
    line = (
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem",
    )  # fmt: skip
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("EEAUG_REMOTE_TOKEN", "abc")
    x = samples(100)
    with serving(parts.models(), tls=context) as server:
        with parts.cascade(server.url) as there, pytest.raises(ConversionError, match="certificate is not trusted"):
            there.predict(x)
        assert not server.headers
        monkeypatch.setenv("EEAUG_REMOTE_CA", str(tmp_path / "cert.pem"))
        with parts.cascade(server.url) as there:
            assert same(there.predict(x), parts.cascade().predict(x))
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer abc"}


@pytest.mark.parametrize(
    ("url", "environment", "says"),
    [
        ("127.0.0.1:8000", {}, "must be a URL"),
        ("ftp://host", {}, "must be a URL"),
        ("http://", {}, "must be a URL"),
        ("http://host?a=1", {}, "must be a URL"),
        ("http://user:secret@host", {}, "has a user or password in it"),
        ("http://host:99999", {}, "its port must be a number"),
        ("http://host", {"EEAUG_REMOTE_TOKEN": "secret"}, "unencrypted"),
        ("http://host", {"EEAUG_REMOTE_HEADERS": "X-Key: secret"}, "unencrypted"),
        ("https://host", {"EEAUG_REMOTE_HEADERS": "secret"}, "must be `Name: value`"),
        ("https://host", {"EEAUG_REMOTE_TOKEN": "two secrets"}, "printable ASCII"),
        ("https://host", {"EEAUG_REMOTE_CA": "none.pem"}, "there is no file none.pem"),
        ("https://host", {"EEAUG_REMOTE_KEY": __file__}, "needs EEAUG_REMOTE_CERT"),
        ("https://host", {"EEAUG_REMOTE_CA": __file__}, "PEM"),
    ],
)
def test_addresses_that_are_none(url: str, environment: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        address.read("cloud", url, environment)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://host", "host:80"), ("https://host/", "host:443"), ("http://[::1]:8000", "[::1]:8000"),
        ("https://host:8443/a/b/", "host:8443/a/b"), ("http://localhost:1", "localhost:1"),
    ],
)  # fmt: skip
def test_addresses(url: str, place: str) -> None:
    read = address.read("my-cloud", url, {})
    assert (read.place, read.tls is not None) == (place, url.startswith("https"))
    token = {"EEAUG_REMOTE_TOKEN_MY_CLOUD": "secret"}
    if "://host" not in url or url.startswith("https"):
        assert address.read("my-cloud", url, token).headers == {"Authorization": "Bearer secret"}
        assert "secret" not in repr(address.read("my-cloud", url, token))


def test_wrong_use(parts: Parts) -> None:
    with pytest.raises(InputError, match="the bundle has none there; its stages for servers are on cloud"):
        parts_of = parts.cascade("http://127.0.0.1:1")
        from eeaug.runtime import far

        far.opened(parts_of.decision, parts_of.stages, {"near": "http://127.0.0.1:1"}, None)
    for deadline in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="--deadline"):
            parts.cascade("http://127.0.0.1:1", deadline_s=deadline)


def test_a_link_is_measured() -> None:
    """A server that takes a while for each request, and a while for each byte."""
    waits = random.Random(1)

    def slow(given: Arrays) -> Arrays:
        time.sleep(0.002 + given["values"].nbytes * 1e-7 + (0.01 if waits.random() < 0.1 else 0))
        return {
            "total": given["values"].sum(axis=1, keepdims=True),
            IDENTITY: np.full((1, 1), link.NUMBER, np.int64),
        }

    with serving({link.MODEL: slow}) as server:
        measured = link.measure(address.read("cloud", server.url, {}), 40, 100_000, 5.0)
    assert 0.002 < measured.latency_s < measured.latency_p95_s
    assert measured.bandwidth_p5_bytes_per_s <= measured.bandwidth_bytes_per_s < 1.1e7
    assert (measured.requests, measured.bytes) == (40, 99_996)
    with serving({}) as server, pytest.raises(ConversionError, match="has no model eeaug-link"):
        link.measure(address.read("cloud", server.url, {}), 20, 1_000, 5.0)


def test_times_become_a_link() -> None:
    small, large = np.full(100, 0.01), np.full(100, 0.03)
    even = link.fitted(small, large, 1_000)
    figures = (even.latency_s, even.latency_p95_s, even.bandwidth_bytes_per_s, even.bandwidth_p5_bytes_per_s)
    assert figures == pytest.approx((0.01, 0.01, 5e4, 5e4))
    large[:10] = 0.11
    spread = link.fitted(small, large, 1_000)
    assert spread.bandwidth_p5_bytes_per_s == pytest.approx(1e4)
    assert spread.bandwidth_bytes_per_s == pytest.approx(1_000 / 0.028)
    with pytest.raises(InputError, match="--size must be larger"):
        link.fitted(large, small, 1_000)


def test_classes_are_told() -> None:
    assert Parts(("near",)).cascade().predict(samples(3)).probabilities.shape == (3, CLASSES)
