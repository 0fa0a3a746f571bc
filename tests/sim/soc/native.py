"""Runs the bench SoC's firmware natively: the same C, compiled by the compiler of this machine."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.soc.firmware.headers import FOLDER, KERNEL_SETS, sources, write_headers
from sim.soc.memory_map import RAM_BASE, RAM_BYTES

BOARD = Path(__file__).parent / "native_board.c"
# every undefined operation of C ends the process
FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
)
# calls that compilers make on their own are the C library's here
TARGET_ONLY = ("libc.c",)
TIMEOUT_S = 60

Npu = Callable[[NDArray[np.uint8], Sequence[int]], tuple[int, int]]
"""Runs a program on the RAM, given command, constant and arena (address, bytes); returns STATUS
and cycles."""


@dataclass(frozen=True)
class NativeFirmware:
    """One executable per kernel set, in `folder`."""

    folder: Path

    def run(
        self, kernel_set: str, image: bytes, npu: Npu | None = None
    ) -> tuple[int, NDArray[np.uint8]]:
        """Run an image; returns the exit code and the RAM from its first byte on."""
        image_file, ram_file = self.folder / "image.bin", self.folder / "ram.bin"
        image_file.write_bytes(image)
        ram = np.memmap(ram_file, np.uint8, "w+", shape=(RAM_BYTES,))
        process = subprocess.Popen(
            [str(self.folder / kernel_set), str(image_file), str(ram_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            for line in process.stdout:
                assert npu is not None, "the firmware started the NPU"
                status, cycles = npu(ram, [int(word) for word in line.split()])
                process.stdin.write(f"{status} {cycles}\n")
                process.stdin.flush()
            code = process.wait(TIMEOUT_S)
        return code, np.array(ram)


def build(folder: Path) -> NativeFirmware:
    """Compile the firmware with every kernel set into `folder`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler is not None, "no C compiler found"
    write_headers(folder)
    include = [f"-I{folder}", f"-I{FOLDER}"]
    for kernel_set in KERNEL_SETS:
        files = [str(path) for path in sources(kernel_set) if path.name not in TARGET_ONLY]
        main = folder / "main.o"
        command = [compiler, *FLAGS, *include]
        run([*command, "-Dmain=firmware_main", "-c", files[0], "-o", str(main)])
        run([*command, str(main), *files[1:], str(BOARD), "-o", str(folder / kernel_set)])
    return NativeFirmware(folder)


def run(command: Sequence[str]) -> None:
    """Run a tool; its messages fail the test."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def native_firmware(tmp_path_factory: pytest.TempPathFactory) -> NativeFirmware:
    """The compiled firmware, once per session."""
    return build(tmp_path_factory.mktemp("firmware"))


def slice_of(ram: NDArray[np.uint8], address: int, size: int) -> NDArray[np.uint8]:
    """A view of RAM at an absolute address."""
    return ram[address - RAM_BASE : address - RAM_BASE + size]
