"""Runs the bench SoC's firmware natively: the same C, compiled by the compiler of this machine."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.cache import cached, content_key
from sim.soc.firmware.headers import (
    FOLDERS,
    KERNEL_SETS,
    WITH_NPU,
    headers,
    sources,
    write_headers,
)
from sim.soc.memory_map import RAM_BYTES, ExitCode

BOARD = Path(__file__).parent / "native_board.c"
# every undefined operation of C ends the process
FLAGS = (
    *("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
)
# calls that compilers make on their own are the C library's here
TARGET_ONLY = ("libc.c",)
TIMEOUT_S = 60

Npu = Callable[[NDArray[np.uint8], Sequence[int]], tuple[int, int]]
"""Runs a program on the RAM, given addresses and sizes of commands, constants and arena; returns
STATUS and cycles."""


def run_native(
    kernel_set: str, image: bytes, folder: Path, npu: Npu | None = None, config_id: int = 0
) -> tuple[ExitCode, NDArray[np.uint8]]:
    """Run an image; returns the exit code and the RAM from its first byte on.

    `folder` takes the files that stand for the memories. `config_id` is the NPU's.
    """
    image_file, ram_file = folder / "image.bin", folder / "ram.bin"
    image_file.write_bytes(image)
    ram = np.memmap(ram_file, np.uint8, "w+", shape=(RAM_BYTES,))
    process = subprocess.Popen(
        [str(executables() / kernel_set), str(image_file), str(ram_file), str(config_id)],
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
    assert code >= 0, f"the firmware ended by signal {-code}"
    return ExitCode(code), np.asarray(ram)


@cache
def executables() -> Path:
    """A folder with the firmware, once per kernel set; compiled when its sources have changed."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler is not None, "no C compiler found"
    version = subprocess.check_output([compiler, "--version"], text=True)
    files = [BOARD, *sorted(path for folder in FOLDERS for path in folder.glob("*.[ch]"))]
    contents = [part for path in files for part in (path.name, path.read_text())]
    generated = [text for pair in sorted(headers(with_npu=True).items()) for text in pair]
    key = content_key(version, list(FLAGS), [*contents, *generated])
    return cached("native-firmware", key, lambda folder: _compile(compiler, folder))


def _compile(compiler: str, folder: Path) -> None:
    write_headers(folder)
    command = [compiler, *FLAGS, f"-I{folder}", *(f"-I{path}" for path in FOLDERS), "-c"]
    command.append(f"-D{WITH_NPU}")
    objects: dict[str, str] = {}
    for path in {BOARD, *(path for name in KERNEL_SETS for path in sources(name, with_npu=True))}:
        if path.name not in TARGET_ONLY:
            objects[path.name] = str(folder / f"{path.stem}.o")
            renamed = ["-Dmain=firmware_main"] if path.name == "main.c" else []
            _run([*command, *renamed, str(path), "-o", objects[path.name]])
    for kernel_set in KERNEL_SETS:
        names = [
            path.name for path in sources(kernel_set, with_npu=True) if path.name not in TARGET_ONLY
        ]
        linked = [objects[name] for name in (*names, BOARD.name) if name in objects]
        _run([compiler, *linked, "-o", str(folder / kernel_set)])


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
