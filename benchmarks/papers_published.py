"""What the three papers report, as printed; shares of 1, points of accuracy as shares, a time in minutes.

SPONNER: Sponner et al., "Efficient Post-Training Augmentation for Adaptive Inference in Heterogeneous and
Distributed IoT Environments". TRECX: Ghanathe and Wilton, "T-RECX: Tiny-Resource Efficient Convolutional Neural
Networks with Early-Exit" (Computing Frontiers 2023). TABLE_2 to MEAN_GAINS: Bonato and Bouganis, "Class-specific
early exit design methodology for convolutional neural networks" (Applied Soft Computing 107, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ALL_CLASSES_GAIN", "FALSE_NEGATIVES", "FALSE_NEGATIVES_GIVEN", "MEAN_GAINS", "OTHERS_ALONE", "SPONNER",
    "TABLE_2", "TABLE_3", "TABLE_3_TEST", "TABLE_3_ZETA",
    "TRECX", "ClassRow", "Column", "Trecx",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of table 2 of Sponner et al.; changes are against the given model, as printed in bold."""

    model: str
    data: str
    calibration: str
    search_minutes: int
    accuracy: float
    accuracy_change: float
    precision_change: float
    recall_change: float
    macs_change: float
    latency_change: float
    energy_change: float | None
    leave_early: float


SPONNER = {
    "kws": Column(
        "DS-CNN (L)", "Speech Commands", "validation set", 18,
        0.8445, -0.1296, -0.0777, -0.1493, -0.5967, 0.3437, -0.136, 0.834,
    ),
    "ecg": Column(
        "1D-CNN", "MIT-BIH", "validation set", 7,
        0.965, -0.031, -0.002, -0.010, -0.783, -0.589, -0.749, 1.0,
    ),
    "cifar-val": Column(
        "ResNet-152", "CIFAR-10", "validation set", 270,
        0.9266, -0.0032, -0.0031, -0.0032, -0.0775, -0.0877, None, 0.3116,
    ),
    "cifar-1.0": Column(
        "ResNet-152", "CIFAR-10", "training set, × 1", 504,
        0.9281, -0.0118, -0.0125, -0.0111, -0.113, -0.0918, None, 0.3699,
    ),
    "cifar-0.67": Column(
        "ResNet-152", "CIFAR-10", "training set, × 2/3", 504,
        0.86, -0.0799, -0.0809, -0.0789, -0.3699, -0.3079, None, 0.8697,
    ),
    "cifar-0.5": Column(
        "ResNet-152", "CIFAR-10", "training set, × 1/2", 504,
        0.7272, -0.2125, -0.2108, -0.2115, -0.5875, -0.5179, None, 0.954,
    ),
    "cifar100-val": Column(
        "ResNet-152", "CIFAR-100", "validation set", 266,
        0.7048, 0.0065, 0.0052, 0.0065, -0.0013, -0.022, None, 0.0033,
    ),
    "cifar100-1.0": Column(
        "ResNet-152", "CIFAR-100", "training set, × 1", 561,
        0.7256, 0.0002, -0.0231, 0.0111, -0.0043, 0.1972, None, 0.1369,
    ),
    "cifar100-0.67": Column(
        "ResNet-152", "CIFAR-100", "training set, × 2/3", 561,
        0.7249, -0.0005, -0.0243, 0.0104, -0.0261, 0.1133, None, 0.6165,
    ),
    "cifar100-0.5": Column(
        "ResNet-152", "CIFAR-100", "training set, × 1/2", 561,
        0.7185, -0.0069, -0.0306, 0.004, -0.0447, 0.0776, None, 0.7439,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Trecx:
    """A row of table 1 of T-RecX: accuracy, millions of FLOPs (as printed), parameters; ``not_below``: share of the
    FLOPs that is saved before the accuracy falls below the baseline's (section 6.1)."""

    model: str
    accuracy: float
    flops: float
    parameters: int
    at_drops: tuple[float, float, float]
    with_exit: int
    exit_alone: float
    final_alone: float
    not_below: float

    @property
    def saved(self) -> tuple[float, float, float, float]:
        """At drops of 0, 1, 2 and 3 points."""
        one, two, three = (1 - flops / self.flops for flops in self.at_drops)
        return self.not_below, one, two, three


TRECX = {
    "ic": Trecx("ResNet-8", 0.872, 25.28, 78_700, (20.04, 18.43, 17.59), 89_700, 0.733, 0.874, 0.089),
    "kws": Trecx("DS-CNN", 0.922, 5.54, 24_900, (3.45, 3.31, 3.18), 28_200, 0.885, 0.9237, 1 - 0.696),
    "vww": Trecx("MobileNetV1", 0.8581, 15.69, 221_700, (9.99, 8.97, 8.36), 226_200, 0.8046, 0.8644, 0.292),
}
# Table 2 of T-RecX: parameters, accuracies of the exits alone, of the final classifier
OTHERS_ALONE = {
    ("ic", "T-RecX"): (89_700, (0.734,), 0.874),
    ("ic", "BranchyNet"): (98_400, (0.724, 0.797), 0.857),
    ("ic", "SDN"): (94_000, (0.633, 0.75), 0.863),
    ("kws", "T-RecX"): (28_200, (0.888,), 0.923),
    ("kws", "BranchyNet"): (62_600, (0.85, 0.876), 0.909),
    ("kws", "SDN"): (38_700, (0.637, 0.817, 0.89), 0.918),
}


@dataclass(frozen=True)
class ClassRow:
    """A row of table 2 or 3 of Bonato and Bouganis: ResNet-21, on the evaluation data; gain and loss in times.

    ``others``: accuracy of the other classes at the output, equation (5); ``exit``: (6); ``target``: (7).
    ``precision`` of the exit is in table 3 alone.
    """

    layer: int
    alpha: float
    beta: float
    eta: float
    gain: float
    loss: float
    others: float
    exit: float
    target: float
    precision: float | None = None


# by class and whether the exit reads all earlier layers, too (KP)
TABLE_2 = {
    (1, False): ClassRow(12, 0.97, 0.910, 0.968, 1.20, 1.24, 0.912, 0.970, 0.978),
    (1, True): ClassRow(8, 0.98, 0.910, 0.968, 1.66, 1.31, 0.912, 0.971, 0.981),
    (5, False): ClassRow(3, 0.95, 0.924, 0.849, 3.17, 1.24, 0.928, 0.865, 0.884),
    (5, True): ClassRow(2, 0.95, 0.924, 0.849, 2.34, 1.22, 0.927, 0.920, 0.873),
    (7, False): ClassRow(17, 0.95, 0.915, 0.923, 1.02, 1.18, 0.917, 0.946, 0.941),
    (7, True): ClassRow(4, 0.95, 0.915, 0.923, 2.78, 1.27, 0.917, 0.946, 0.943),
}
TABLE_3 = (
    ClassRow(3, 0.95, 0.914, 0.937, 2.66, 1.23, 0.915, 0.949, 0.950, 0.676),
    ClassRow(8, 0.98, 0.910, 0.968, 1.66, 1.31, 0.912, 0.971, 0.981, 0.799),
    ClassRow(5, 0.95, 0.918, 0.896, 1.66, 1.24, 0.921, 0.919, 0.913, 0.626),
    ClassRow(1, 0.95, 0.927, 0.816, 1.96, 1.21, 0.929, 0.840, 0.841, 0.415),
    ClassRow(4, 0.97, 0.914, 0.934, 1.49, 1.27, 0.919, 0.937, 0.945, 0.657),
    ClassRow(2, 0.95, 0.924, 0.849, 2.34, 1.22, 0.927, 0.920, 0.873, 0.568),
    ClassRow(6, 0.99, 0.912, 0.950, 1.85, 1.29, 0.914, 0.958, 0.961, 0.756),
    ClassRow(4, 0.95, 0.915, 0.923, 2.78, 1.27, 0.917, 0.946, 0.943, 0.693),
    ClassRow(5, 0.95, 0.912, 0.953, 2.64, 1.28, 0.913, 0.961, 0.973, 0.737),
    ClassRow(5, 0.99, 0.914, 0.936, 1.82, 1.27, 0.914, 0.953, 0.951, 0.768),
)
# the same on test data: gain, loss, equations (5) to (7), precision
TABLE_3_TEST = (
    (2.76, 1.23, 0.919, 0.948, 0.948, 0.667),
    (1.67, 1.31, 0.915, 0.971, 0.988, 0.802),
    (1.66, 1.24, 0.922, 0.916, 0.876, 0.598),
    (2.18, 1.21, 0.928, 0.838, 0.885, 0.415),
    (1.50, 1.27, 0.921, 0.936, 0.929, 0.654),
    (2.26, 1.22, 0.931, 0.926, 0.870, 0.588),
    (1.81, 1.29, 0.916, 0.961, 0.966, 0.770),
    (3.04, 1.27, 0.920, 0.938, 0.956, 0.664),
    (2.60, 1.28, 0.914, 0.965, 0.972, 0.758),
    (1.78, 1.27, 0.915, 0.961, 0.960, 0.804),
)
# the given model's precision of every class, evaluation data
TABLE_3_ZETA = (0.915, 0.947, 0.879, 0.850, 0.897, 0.877, 0.935, 0.958, 0.948, 0.952)
# Table 4: missed at the output, by class, of the given model and with exits for each class in turn
FALSE_NEGATIVES_GIVEN = (63, 32, 104, 184, 66, 151, 50, 77, 47, 64)
FALSE_NEGATIVES = (
    (50, 32, 92, 183, 65, 149, 49, 74, 34, 61),
    (61, 19, 104, 183, 65, 149, 50, 77, 43, 42),
    (59, 32, 87, 174, 57, 138, 45, 72, 47, 63),
    (63, 31, 100, 159, 61, 132, 45, 73, 46, 64),
    (61, 32, 95, 171, 55, 134, 45, 66, 47, 64),
    (62, 32, 94, 157, 62, 127, 49, 72, 46, 63),
    (61, 31, 95, 172, 62, 148, 39, 77, 47, 64),
    (62, 32, 98, 175, 60, 139, 50, 57, 46, 63),
    (53, 31, 96, 182, 65, 151, 50, 76, 27, 55),
    (62, 24, 104, 183, 66, 151, 49, 74, 43, 49),
)
# Table 5: mean gain over CIFAR-10's classes, each with an exit of its own; and of an exit for all classes
MEAN_GAINS = {"ResNet-21": 2.09, "Inceptionv3-159": 5.09, "ResNet-110": 5.77, "DenseNet-121": 8.79}
ALL_CLASSES_GAIN = 1.23  # ResNet-110, accuracy maintained
