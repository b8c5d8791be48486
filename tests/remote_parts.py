"""A cascade of NumPy stages, a server of some of them by the Open Inference Protocol, and a bad connection."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from aiohttp import ClientSession, web
from numpy.typing import NDArray

from eeaug.bundle.device_entries import IDENTITY, MAX_ROWS, TritonStage
from eeaug.bundle.entries import Handover, Manifest, StageEntry
from eeaug.cascade.encoding import Encoding
from eeaug.cascade.output import Decision
from eeaug.data.preprocessing import Preprocessing
from eeaug.runtime import Cascade, far

CLASSES, WIDTH = 4, 6
LENGTH = "Inference-Header-Content-Length"
KEPT = (LENGTH.lower(), "content-type", "content-encoding")
NUMPY = {"FP32": np.float32, "INT64": np.int64, "FP16": np.float16, "INT8": np.int8}
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layer:
    """A stage: probabilities by one matrix, the hand-over by another."""

    says: NDArray[np.float32]
    hands: NDArray[np.float32]

    def compute(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # sums over one axis of an element-wise product: the same bits for a row however many stand beside it
        logits = (x[:, :, None] * self.says).sum(axis=1)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True)).astype(np.float32), np.tanh(
            (x[:, :, None] * self.hands).sum(axis=1)
        )


@dataclass(frozen=True)
class Session:
    """The same as a runtime's session, of a stage with these names."""

    layer: Layer

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        return list(self.layer.compute(next(iter(inputs.values()))))[: len(outputs)]


@dataclass(frozen=True)
class Parts:
    """``processors`` of the stages; those on "cloud" are a server's, and are sent tensors in this ``encoding``."""

    processors: tuple[str, ...]
    reuse: bool = False
    ensemble: bool = True
    encoding: Encoding | None = None
    layers: tuple[Layer, ...] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)

        def drawn(*shape: int) -> NDArray[np.float32]:
            return rng.normal(0, 1.2, shape).astype(np.float32)

        layers = tuple(Layer(drawn(WIDTH, CLASSES), drawn(WIDTH, WIDTH)) for _ in self.processors)
        object.__setattr__(self, "layers", layers)

    @property
    def stages(self) -> tuple[StageEntry, ...]:
        stages = []
        for k, processor in enumerate(self.processors):
            last = k + 1 == len(self.processors)
            begins = processor == "cloud" and (k == 0 or self.processors[k - 1] != "cloud")
            chain = begins and not last and self.processors[k + 1] == "cloud" and self.ensemble
            stages.append(
                StageEntry(
                    name=f"{k}-{processor}",
                    processor=processor,
                    input_name=f"h{k}",
                    input_shape=(WIDTH,),
                    probabilities="p",
                    handover=None if last else Handover(f"h{k + 1}", (WIDTH,), 4 * WIDTH, self._between(k)),
                    reuse=tuple(np.full(k + 1, 0.5)) if self.reuse and k else None,
                    threshold=None if last else 0.6,
                    metric="max-softmax",
                    macs=WIDTH,
                    files={},
                    triton=TritonStage(f"m{k}", 100 + k, f"chain{k}" if chain else None)
                    if processor == "cloud"
                    else None,
                )
            )
        return tuple(stages)

    def _between(self, k: int) -> Encoding | None:
        """Of what stage ``k`` sends to a server."""
        return self.encoding if self.processors[k : k + 2] == ("near", "cloud") else None

    def cascade(self, url: str | None = None, deadline_s: float = 5.0) -> Cascade:
        """All of it here, or the stages on "cloud" at a URL."""
        stages, decision = self.stages, Decision("softmax", CLASSES)
        thresholds = tuple(stage.threshold for stage in stages[:-1])
        there = None if url is None else far.opened(decision, stages, {"cloud": url}, deadline_s)
        sessions = tuple(Session(layer) for layer in self.layers)
        manifest = Manifest(tuple("abcd"), decision, Preprocessing(), stages)
        return Cascade(decision, stages, sessions, {"default": thresholds}, "default", manifest, there)

    def models(self) -> dict[str, Callable[[Arrays], Arrays]]:
        """What a server runs, by name."""
        models: dict[str, Callable[[Arrays], Arrays]] = {}
        stages = self.stages
        for k, stage in enumerate(stages):
            if stage.triton is None:
                continue
            end = k + 1
            while end < len(stages) and stages[end].triton is not None:
                end += 1
            models[stage.triton.model] = self._model(k, k + 1)
            if stage.triton.ensemble:
                models[stage.triton.ensemble] = self._model(k, end)
        return models

    def _model(self, k: int, end: int) -> Callable[[Arrays], Arrays]:
        def compute(given: Arrays) -> Arrays:
            outputs: Arrays = {}
            x, encoding = given[f"h{k}"], self._between(k - 1) if k else None
            if encoding is not None:
                assert x.dtype == encoding.encoded(np.zeros(1, np.float32)).dtype
                x = encoding.decoded(x)
            for i in range(k, end):
                p, x = self.layers[i].compute(x)
                prefix = f"{i - k}_" if end - k > 1 else ""
                outputs |= {f"{prefix}p": p, f"{prefix}{IDENTITY}": np.full((len(p), 1), 100 + i, np.int64)}
                outputs[f"{prefix}h{i + 1}"] = x
            return outputs

        return compute


Fault = Callable[[web.Request, bytes, Mapping[str, str]], Coroutine[Any, Any, web.StreamResponse | None]]


class Proxy:
    """A connection that does to each answer what ``choose`` says: a name of a method here, or None for nothing."""

    def __init__(self, upstream: str, choose: Callable[[], str | None]) -> None:
        self.upstream, self.choose = upstream, choose
        self.counts: dict[str, int] = {}
        self._held: tuple[asyncio.Event, list[tuple[int, bytes, dict[str, str]]]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        async with self.session.request(
            request.method, f"{self.upstream}{request.path_qs}", data=body, headers=headers
        ) as response:
            answer = (
                response.status,
                await response.read(),
                {k: v for k, v in response.headers.items() if k.lower() in KEPT},
            )
        fault = self.choose() if request.path.endswith("/infer") else None
        if fault is not None:
            self.counts[fault] = self.counts.get(fault, 0) + 1
            changed = await getattr(self, f"_{fault}")(request, answer)
            if isinstance(changed, web.StreamResponse):
                return changed
            answer = changed
        status, content, kept = answer
        return web.Response(status=status, body=content, headers=kept)

    async def start(self) -> None:
        self.session = ClientSession(auto_decompress=False)

    async def _delay(self, request: web.Request, answer: Any) -> Any:
        await asyncio.sleep(0.03)
        return answer

    async def _stall(self, request: web.Request, answer: Any) -> Any:
        await asyncio.sleep(60)
        return answer

    async def _drop(self, request: web.Request, answer: Any) -> Any:
        if request.transport is not None:  # None: the other side has closed it
            request.transport.close()
        return answer

    async def _truncate(self, request: web.Request, answer: Any) -> web.StreamResponse:
        status, content, headers = answer
        response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    async def _cut(self, request: web.Request, answer: Any) -> Any:
        """Shorter, with a length that says so: what a broken middlebox makes of it."""
        status, content, headers = answer
        return status, content[:-7], headers

    async def _busy(self, request: web.Request, answer: Any) -> Any:
        return 503, b'{"error": "busy"}', {"Content-Type": "application/json"}

    async def _garble(self, request: web.Request, answer: Any) -> Any:
        status, content, headers = answer
        return status, b"\x00" + content[1:], headers

    async def _reorder(self, request: web.Request, answer: Any) -> Any:
        """Two answers change places; one that waits alone for long goes on as it is."""
        if self._held is None:
            event, others = asyncio.Event(), []
            self._held = (event, others)
            try:
                await asyncio.wait_for(event.wait(), 0.05)
            except TimeoutError:
                self._held = None
                return answer
            other = others[0]
            others.append(answer)
            return other
        event, others = self._held
        self._held = None
        others.append(answer)
        event.set()
        while len(others) < 2:
            await asyncio.sleep(0)
        return others[1]


@dataclass(frozen=True)
class Served:
    """A server of models, which may be changed while it runs; ``rows`` and ``headers`` of each request."""

    models: dict[str, Callable[[Arrays], Arrays]]
    extensions: Sequence[str]
    url: str = ""
    rows: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def about(self, _: web.Request) -> web.Response:
        """GET /v2."""
        return web.json_response({"name": "test", "version": "1", "extensions": list(self.extensions)})

    async def infer(self, request: web.Request) -> web.Response:
        """POST /v2/models/NAME/infer, tensors as bytes behind the JSON or within it."""
        self.headers.append(dict(request.headers))
        model = self.models.get(request.match_info["name"])
        if model is None:
            return web.json_response({"error": "unknown model"}, status=404)
        body = await request.read()  # without its compression
        length = int(request.headers.get(LENGTH, len(body)))
        asked = json.loads(body[:length])
        given: Arrays = {}
        at = length
        for tensor in asked["inputs"]:
            kind = NUMPY[tensor["datatype"]]
            if "data" in tensor:
                array = np.array(tensor["data"], kind)
            else:
                size = tensor["parameters"]["binary_data_size"]
                array, at = np.frombuffer(body[at : at + size], kind), at + size
            given[tensor["name"]] = array.reshape(tensor["shape"])
        if len(next(iter(given.values()))) > MAX_ROWS:  # as Triton does
            return web.json_response({"error": "batch-size must be <= 64"}, status=400)
        outputs = model(given)
        entries, content = [], b""
        for wanted in asked["outputs"]:
            array = outputs[wanted["name"]]
            kind_name = "INT64" if array.dtype == np.int64 else "FP32"
            entry: dict[str, Any] = {"name": wanted["name"], "shape": list(array.shape), "datatype": kind_name}
            if wanted.get("parameters", {}).get("binary_data"):
                entry["parameters"] = {"binary_data_size": array.nbytes}
                content += array.tobytes()
            else:
                entry["data"] = array.ravel().tolist()
            entries.append(entry)
        head = json.dumps({"id": asked.get("id"), "model_name": "m", "outputs": entries}).encode()
        self.rows.append(len(next(iter(given.values()))))
        return web.Response(body=head + content, headers={LENGTH: str(len(head))} if content else {})


@contextmanager
def serving(
    models: Mapping[str, Callable[[Arrays], Arrays]], extensions: Sequence[str] = ("binary_tensor_data",),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Served]:  # fmt: skip
    """A server of these models on the loopback."""
    app = web.Application(client_max_size=1 << 26)
    server = Served(dict(models), extensions)
    app.router.add_get("/v2", server.about)
    app.router.add_post("/v2/models/{name}/infer", server.infer)
    with _running(app, tls) as url:
        yield replace(server, url=url)


@contextmanager
def through(upstream: str, choose: Callable[[], str | None]) -> Iterator[tuple[str, Proxy]]:
    """A proxy before that server, and its URL."""
    proxy = Proxy(upstream, choose)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{rest:.*}", proxy.handle)

    async def begin(_: web.Application) -> None:
        await proxy.start()

    async def end(_: web.Application) -> None:
        await proxy.session.close()

    app.on_startup.append(begin)
    app.on_cleanup.append(end)
    with _running(app) as url:
        yield url, proxy


async def _ended(runner: web.AppRunner, encrypted: bool) -> None:
    """Without waiting for answers that were to come late."""
    await runner.cleanup()
    late = asyncio.all_tasks() - {asyncio.current_task()}
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    await asyncio.sleep(
        0.2 if encrypted else 0
    )  # connections close a step of the loop later; TLS says goodbye first


@contextmanager
def _running(app: web.Application, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    started: list[int] = []

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        started.append(runner.addresses[0][1])

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{started[0]}"
    finally:
        asyncio.run_coroutine_threadsafe(_ended(runner, tls is not None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
