"""The one pass over the data, cached.

A line of code here may touch the backbone, samples and the cache: no head, no threshold. The backbone never
changes, so whatever heads are tried, its tensors are computed once per sample. ONNX Runtime does it, the runtime
that the exported stages are verified with. Arrays are memory-mapped files: anonymous memory does not grow with
the data.

    extractor   an ONNX model from the input to the wanted tensors of the backbone
    shards      one piece of the data through the extractor
    columns     the file of a tensor: a ``.npy`` that is written shard by shard, in any order,
    shelf       these files on a worker of a cluster
    cluster     shards, and what reads features, on the workers of a Dask cluster
    extraction  what earlier runs have left of the pass, what is missing, its files
"""

from eeaug.features.cluster import Cluster
from eeaug.features.extraction import Extraction, Features
from eeaug.features.extractor import HALF_MAX, Wanted, extractor

__all__ = ["HALF_MAX", "Cluster", "Extraction", "Features", "Wanted", "extractor"]
