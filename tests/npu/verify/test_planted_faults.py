"""Faults in every part of the NPU, in one build: each is found, and located to its block."""

import pytest

from npu.verify import Suite
from npu.verify.aims import AIMS
from npu.verify.record import suite_record
from npu.verify.suite import Outcome
from sim.verilator.design import design_text
from tests.sim.configs import SMALL
from tests.support.planted_faults import Fault, plant, switch

FAULTS: dict[str, Fault] = {
    # module: an input of it, when it is wrong, and how
    "npu_fetch": ("read__beats__payload", "read__beats__payload[7:0] == 8'h41", "34'h1"),
    "npu_dispatcher": ("words__payload", "words__payload[7:0] == 8'h03", "65'h2000000000"),
    "npu_control_run": ("load_error__command", "load_error__command[0]", "16'h2"),
    "npu_control_counters": ("events", "events[3] && events[6]", "16'h40"),
    "npu_control_regions": ("load__number", "1'b1", "3'h1"),
    "npu_load_unpacker": ("beats__payload", "beats__payload[3:0] == 4'h9", "33'h40"),
    "npu_load_walker": ("jobs__payload", "jobs__payload[2:0] == 3'h5", "193'h8"),
    "npu_store_packer": ("placement", "placement[2:0] == 3'h2", "15'h1"),
    "npu_store_front": ("done__compute", "1'b1", "16'h8000"),
    "npu_scratchpad": ("store__address", "store__address[2:0] == 3'h3", "20'h1"),
    "npu_weights": ("write__address", "write__address[2:0] == 3'h3", "20'h4"),
    "npu_parameters": ("write__block", "write__block[1:0] == 2'h2", "14'h1"),
    "npu_table": ("write_data", "write_data[3:0] == 4'h5", "32'h80"),
    # the kernel's height, 3 seen as 2
    "npu_compute_sequencer_loops": ("command", "command[327:320] == 8'h3", "512'h1 << 320"),
    "npu_compute_windows": ("fetch__words__1", "fetch__words__1[3:0] == 4'h5", "32'h40"),
    "npu_compute_mac": ("weight_base", "weight_base[1:0] == 2'h2", "20'h1"),
    "npu_compute_grid_row": ("weights__0", "weights__0[3:0] == 4'h5", "32'h20"),
    "npu_compute_accumulators_pixel": ("sums__0", "sums__0[3:0] == 4'h5", "18'h100"),
    "npu_compute_drain": ("plane_pitch", "plane_pitch[0]", "20'h2"),
    "npu_compute_requantize_lane": ("multiplier", "multiplier[2:0] == 3'h5", "32'h8000000"),
    "npu_compute_elementwise_lane": ("second", "second[3:0] == 4'h5", "8'h40"),
}

FINDERS = {
    "npu_control_run": "faults",
    "npu_control_counters": "all together",
    "npu_weights": "convolution",
    "npu_parameters": "requantizer",
    "npu_table": "elementwise",
    "npu_compute_sequencer_loops": "convolution",
    "npu_compute_windows": "convolution",
    "npu_compute_mac": "convolution",
    "npu_compute_grid_row": "convolution",
    "npu_compute_accumulators_pixel": "convolution",
    "npu_compute_drain": "convolution",
    "npu_compute_requantize_lane": "requantizer",
    "npu_compute_elementwise_lane": "elementwise",
}
"""Of the aims one that finds the fault, where it is not the first one; to save time."""


@pytest.fixture(scope="module")
def faulty() -> str:
    return plant(design_text(SMALL), FAULTS)


def outcome_of(suite: Suite) -> Outcome:
    """Of the only aim."""
    (outcome,) = suite.run()
    return outcome


@pytest.mark.parametrize("module", FAULTS)
def test_a_fault_is_found_and_located(
    module: str, faulty: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (aim,) = (aim for aim in AIMS if aim.name == FINDERS.get(module, AIMS[0].name))
    folder = tmp_path_factory.mktemp("waves")
    suite = Suite(SMALL, faulty, [aim], folder=folder, bus_timeout=switch(FAULTS, module))
    outcome = outcome_of(suite)
    assert outcome.wrong or outcome.slow
    assert outcome.fault is not None
    location = outcome.fault.location
    assert location is not None, outcome.fault
    assert location.module == module, outcome.fault
    said = outcome.fault.said
    assert "waves of cycles" in said[-1]
    waves = folder / f"{aim.name.replace(' ', '-')}-{outcome.fault.seed}.vcd"
    assert str(waves) in said[-1]
    assert waves.stat().st_size > 1000
    (aim_record,) = suite_record(suite, [outcome])["aims"]
    assert aim_record["first"]["location"]["module"] == module


def test_without_its_fault_it_is_right(faulty: str) -> None:
    suite = Suite(SMALL, faulty, AIMS[:1])
    outcome = outcome_of(suite)
    assert (outcome.wrong, outcome.slow, outcome.fault) == (0, 0, None)
    assert outcome.programs == AIMS[0].quick
    assert outcome.bits > 10_000
