"""The shipped profiles: their figures give back the published ones that they come from."""

from __future__ import annotations

import pytest

from eeaug import hardware
from eeaug.hardware.rates import rates


@pytest.mark.parametrize("name", hardware.shipped())
def test_a_shipped_profile_has_the_name_of_its_file_and_its_sources(name: str) -> None:
    profile = hardware.read(name)
    assert profile.name == name
    assert profile.source
    assert all(x.source for x in (*profile.processors, *profile.memories, *profile.links))
    assert profile.baseline is not None
    assert all(level.source for p in profile.processors for level in p.operating_points)


def test_the_papers_figures_can_be_repeated() -> None:
    psoc6 = hardware.read("psoc6")
    small, large = psoc6.processors
    assert (small.rate("conv"), large.rate("dense")) == (10e6, 75e6)
    assert small.active_power_w is not None
    assert large.active_power_w is not None
    assert small.active_power_w * 0.96799 == pytest.approx(18.53e-3, rel=1e-3)
    assert large.active_power_w * 0.521 == pytest.approx(16.65e-3, rel=1e-3)
    assert psoc6.exclusive
    assert (small.ram, small.flash) == (large.ram, large.flash)
    rk3588 = hardware.read("rk3588-cloud")
    assert 358.8e6 / (rk3588.processor("mali").rate("conv") or 0.0) == pytest.approx(17.85e-3, rel=1e-3)
    assert rk3588.baseline == "mali"


@pytest.mark.parametrize(
    ("name", "processor", "tolerance", "published_s"),
    [
        # MLPerf Tiny v1.2: ResNet-8, DS-CNN, MobileNetV1 0.25, autoencoder
        ("psoc6-measured", "cm4f", 0.18, (0.162206, 0.054154, 0.154679, 0.005969)),
        ("stm32u575", "m33", 0.21, (0.111074, 0.029056, 0.059277, 0.003429)),
        ("stm32l4r5", "m4", 0.20, (0.165125, 0.043187, 0.088928, 0.005261)),
        ("stm32h7a3", "m7", 0.19, (0.040845, 0.011318, 0.023804, 0.001225)),
        ("nrf5340", "app", 0.11, (0.317864, 0.076488, 0.233318, 0.006289)),  # v1.1
        ("stm32g0b1", "m0p", 0.03, (1.52207, 0.474608, 1.414427, 0.040893)),
        # the same in MLPerf Tiny v1.0
        ("gap9", "cluster", 0.15, (0.000616, 0.000475, 0.001125, 0.000176)),
    ],
)
def test_rates_give_back_the_published_latencies_they_come_from(
    name: str, processor: str, tolerance: float, published_s: tuple[float, ...]
) -> None:
    networks: list[dict[str, int]] = [
        {"conv": 12_238_848, "pointwise": 262_144, "dense": 640},
        {"conv": 320_000, "depthwise": 288_000, "pointwise": 2_048_000, "dense": 768},
        {"conv": 497_664, "depthwise": 798_336, "pointwise": 6_193_152, "dense": 512},
        {"dense": 264_192},
    ]
    cpu = hardware.read(name).processor(processor)
    for network, latency_s in zip(networks, published_s, strict=True):
        estimate_s = sum(macs / (cpu.rate(kind) or 0.0) for kind, macs in network.items())
        exact = "depthwise" not in network
        assert estimate_s == pytest.approx(latency_s, rel=0.025 if exact else tolerance)


@pytest.mark.parametrize(
    ("name", "published_mw"),
    [
        ("stm32u575", (23.37, 22.72, 23.01, 24.08)),
        ("stm32l4r5", (41.98, 42.19, 43.90, 38.76)),
        ("stm32h7a3", (125.23, 121.88, 124.96, 135.66)),
        ("gap9", (64.87, 56.20, 51.85, 41.51)),
    ],
)
def test_power_is_the_mean_of_the_published_ones(name: str, published_mw: tuple[float, ...]) -> None:
    (processor,) = hardware.read(name).processors
    assert processor.active_power_w == pytest.approx(sum(published_mw) / 4 * 1e-3, rel=2e-3)


def test_what_was_not_published_stays_null() -> None:
    for name in ("stm32g0b1", "esp32s3"):
        (processor,) = hardware.read(name).processors
        assert processor.active_power_w is None
        assert all(processor.rate(kind) for kind in hardware.KINDS)


def test_rates_of_the_esp32s3_give_back_the_published_ticks() -> None:
    (lx7,) = hardware.read("esp32s3").processors
    for kind, macs, ticks in (
        ("pointwise", 10 * 10 * 64 * 64, 331_008),
        ("depthwise", 16 * 16 * 16 * 3 * 3, 184_176),
        ("dense", 271 * 3, 1_543),
    ):
        assert macs / (lx7.rate(kind) or 0.0) * 240e6 == pytest.approx(ticks, rel=2e-3)


def test_counted_rates_are_those_that_hw_new_would_write() -> None:
    counted = [p for name in hardware.shipped() for p in hardware.read(name).processors if p.basis == "counted"]
    assert counted
    for processor in counted:
        assert processor.clock_hz is not None
        now = rates(processor.cpu, processor.clock_hz).by_kind
        assert processor.rates_macs_per_s == pytest.approx(now, rel=0.05)  # kernels and cycles become better known


def test_levels_are_those_of_the_data_sheets_and_less_power_is_less_energy() -> None:
    clocks = {
        (name, p.name): [level.clock_hz / 1e6 for level in p.operating_points]
        for name in hardware.shipped()
        for p in hardware.read(name).processors
        if p.operating_points
    }
    assert clocks == {
        ("nrf5340", "app"): [128, 64],
        ("psoc6", "cm0p"): [100, 25],
        ("psoc6", "cm4f"): [150, 50],
        ("psoc6-measured", "cm0p"): [100, 25],
        ("psoc6-measured", "cm4f"): [150, 50],
        ("stm32u575", "m33"): [160, 100, 50, 24],
    }
    for name in {name for name, _ in clocks}:
        for mode in hardware.modes(hardware.read(name)):
            if mode.level is not None:
                assert mode.processor.active_power_w is not None
    u575 = [mode.processor for mode in hardware.modes(hardware.read("stm32u575"))]
    per_second = [p.active_power_w / (p.rate("conv") or 1) for p in u575 if p.active_power_w]
    assert per_second == sorted(per_second, reverse=True)  # joules of a MAC: the voltage falls with the clock
    assert u575[3].active_power_w == pytest.approx(0.0233 * 24 / 160 * (0.9 / 1.2) ** 2)
    assert hardware.read("psoc6").processors[0].operating_points[0].name == "lp"
