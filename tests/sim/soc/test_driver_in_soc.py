"""The driver that integrators get (`rtl/driver`) on the NPU's RTL, beside a CPU."""

import importlib.util
import re
from pathlib import Path

import pytest

from npu.embedded.payload import encode_segment
from npu.offload.network import CompiledNetwork
from rtl.driver_files import FOLDER as DRIVER
from sim.soc.cores import CORES
from sim.soc.firmware.headers import headers, sources
from sim.soc.firmware_build import build_firmware
from sim.soc.run import SocRunner
from tests.npu.small_model import classifier
from tests.npu.speedup.test_image import read
from tests.sim import configs

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None
    or any(importlib.util.find_spec(core.module) is None for core in CORES.values()),
    reason="needs the optional packages: pip install -e '.[soc]'",
)

NPU = configs.RTL["small"]

PROGRAM = """
#include "memory_map.h"
#include "npu_driver.h"
#include "npu_registers.h"
#define WORD(address) (*(volatile uint32_t *)(uintptr_t)(address))

static struct npu_device npu;

int main(void)
{
    const struct npu_segment *segment = (const struct npu_segment *)(uintptr_t)IMAGE_BASE;
    const size_t bytes = segment->bytes;
    void *arena = (void *)(uintptr_t)ARENA_BASE;
    volatile uint32_t *results = (volatile uint32_t *)(uintptr_t)RESULTS_BASE;
    int n = 0;

    results[n++] = (uint32_t)npu_open(&npu, DEVICES_BASE);
    results[n++] = (uint32_t)npu_open(&npu, NPU_BASE);
    results[n++] = (uint32_t)npu_poll(&npu);
    results[n++] = (uint32_t)npu_start(&npu, segment, bytes, arena, 1);
    results[n++] = (uint32_t)npu_start(&npu, segment, bytes, arena, segment->arena_bytes);
    results[n++] = (uint32_t)npu_start(&npu, segment, bytes, arena, segment->arena_bytes);
    results[n++] = (uint32_t)npu_wait(&npu, 1);
    results[n++] = (uint32_t)npu_wait(&npu, 0);
    results[n++] = (uint32_t)npu_poll(&npu);
    results[n++] = npu.cycles;
    return 0;
}
"""


def error_number(name: str) -> int:
    """Of `enum npu_error`."""
    text = (DRIVER / "npu_driver.h").read_text(encoding="utf-8")
    body = text.split("enum npu_error {")[1].split("}")[0]
    return re.findall(r"NPU_\w+", re.sub(r"/\*.*?\*/", "", body)).index(name)


@pytest.mark.parametrize("core", CORES)
def test_driver_on_the_rtl(core: str, tmp_path: Path) -> None:
    graph, _ = read(classifier())
    (program,) = CompiledNetwork(graph, NPU).programs.values()
    source = tmp_path / "program.c"
    source.write_text(PROGRAM, encoding="utf-8")
    firmware = build_firmware(
        CORES[core],
        [source, DRIVER / "npu_driver.c"],
        headers=[DRIVER / "npu_driver.h"],
        generated=headers(with_npu=True),
    )
    result = SocRunner(core, NPU).run(firmware, encode_segment(program), max_cycles=200_000)
    assert result.exit_code == 0
    words = result.ram[:40].view("<u4").tolist()
    assert words[:9] == [
        error_number(f"NPU_{name}")
        for name in (
            *("ERROR_DEVICE", "OK", "ERROR_IDLE", "ERROR_ARENA"),
            *("OK", "ERROR_BUSY", "ERROR_TIMEOUT", "OK", "ERROR_IDLE"),
        )
    ]
    assert 100 < words[9] < 100_000


def test_firmware_without_an_npu_has_no_driver() -> None:
    names = {path.name for path in sources("optimized", with_npu=False)}
    added = {path.name for path in sources("optimized", with_npu=True)} - names
    assert added == {"npu_board.c", "npu_driver.c"}
    assert not any(name.startswith("npu_") for name in headers(with_npu=False))
