"""The one pass: tensors of the frozen backbone at every location, pooled or whole, kept on disk.

The backbone never changes, so whatever heads are tried, its tensors are computed once per sample. ONNX
Runtime does it, the runtime that the exported stages are verified with. Arrays are memory-mapped files:
anonymous memory does not grow with the data.

extractor   the ONNX model from the input to the wanted tensors
shards      one piece of the data through it: here, or on a worker of a cluster
columns     the file of a tensor, with its checksums
extraction  what is there from earlier runs, what is missing, and its files
cluster     shards on the workers of a Dask cluster
"""

from eeaug.features.extraction import Extraction, Features, Workers
from eeaug.features.extractor import HALF_MAX, Wanted, extractor

__all__ = ["HALF_MAX", "Extraction", "Features", "Wanted", "Workers", "extractor"]
