"""``--format tflite-int8``: every stage quantised to int8 throughout.

From first to last:

    int8_rows     samples and hand-overs as int8 numbers
    int8_cascade  how int8 stages run, and the thresholds that are best for them
    files         the stages as int8 LiteRT files
"""

from eeaug.export.int8.files import write

__all__ = ["write"]
