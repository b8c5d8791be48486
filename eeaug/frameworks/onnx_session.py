"""ONNX Runtime sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

__all__ = ["Bound", "bindable", "session"]


def session(model: Path | bytes, threads: int, optimised: Path | None = None, as_it_is: bool = False) -> Any:
    """An ONNX Runtime session on the processor, for a file's path or a serialised model.

    ``optimised``: where the network that is really run is written, for this machine alone; ``as_it_is``: such a one
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # waiting threads that spin take the cores of whoever else runs here: 1.7 times slower on a busy machine
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    if as_it_is:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def bindable(session: object) -> bool:
    """Whether it is one of ONNX Runtime's."""
    return hasattr(session, "io_binding")


class Bound:
    """A session that reads and writes arrays that stay: a run copies nothing, and makes no array.

    Parameters
    ----------
    inputs, outputs : C-contiguous arrays by name, in the shapes and types of a run; they are kept
    """

    def __init__(
        self, session: Any, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
    ) -> None:
        self._session, self._arrays, self._binding = session, (inputs, outputs), session.io_binding()
        for bind, arrays in ((self._binding.bind_input, inputs), (self._binding.bind_output, outputs)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def run(self) -> None:
        """Compute the outputs of what the inputs hold."""
        self._session.run_with_iobinding(self._binding)
