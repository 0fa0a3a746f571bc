"""The driver in C, compiled for this machine, on an NPU of registers and a simulator."""

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import npu
from npu.embedded.c_source import c_name, c_sources
from npu.embedded.compiled_model import CompiledModel, compile_model
from npu.embedded.payload import encode_segment
from npu.embedded.tflm_host import READ, WRITE, TflmNpu
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from rtl.config import PRESETS
from rtl.driver_files import FOLDER, driver_files
from rtl.register_header import CODE_TEXTS, register_header
from rtl.registers import Control, ErrorCode, Event, Register, Status, event_counter
from tests.npu.small_model import classifier

CONFIG = PRESETS["npu64"]
ERRORS = (
    *("OK", "PENDING", "ARGUMENT", "DEVICE", "SEGMENT", "CONFIG", "ARENA", "BUSY", "IDLE"),
    *("TIMEOUT", "HARDWARE"),
)
"""As `enum npu_error` has them."""


class Device(ctypes.Structure):
    """`struct npu_device`."""

    _fields_ = [
        ("registers", ctypes.c_void_p),
        ("running", ctypes.c_int),
        ("ended", ctypes.c_uint32),
        ("arena", ctypes.c_void_p),
        ("arena_bytes", ctypes.c_size_t),
        ("code", ctypes.c_uint32),
        ("command", ctypes.c_uint32),
        ("cycles", ctypes.c_uint32),
    ]


class Memory:
    """Bytes at an address that is a multiple of 64."""

    def __init__(self, data: bytes) -> None:
        self._buffer = (ctypes.c_uint8 * (len(data) + 64))()
        self.address = -(-ctypes.addressof(self._buffer) // 64) * 64
        self.size = len(data)
        ctypes.memmove(self.address, data, len(data))

    def bytes(self, offset: int, size: int) -> bytes:
        return ctypes.string_at(self.address + offset, size)


def compiled() -> CompiledModel:
    return compile_model(read_model_bytes(classifier(), "m"), CONFIG)


class Bench:
    """A driver, its device, a segment and an arena."""

    def __init__(self) -> None:
        self.host = TflmNpu(CONFIG, "cycle")
        self.library = self.host.library
        self.device = Device.from_address(self.library.npu_host_device())
        self.model = compiled()
        (self.program,) = self.model.programs
        self.segment = Memory(encode_segment(self.program))
        self.arena = Memory(bytes(self.program.arena_bytes))

    def call(self, name: str, *arguments: int) -> str:
        """Call a function of the driver on the device; the name of what it returns."""
        function = getattr(self.library, name)
        address = ctypes.c_void_p(ctypes.addressof(self.device))
        return ERRORS[function(address, *map(ctypes.c_size_t, arguments))]

    def start(self, **changes: int) -> str:
        values = {
            "segment": self.segment.address,
            "bytes": self.segment.size,
            "arena": self.arena.address,
            "arena_bytes": self.arena.size,
        } | changes
        return self.call("npu_start", *values.values())


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.device.running = 0


def test_a_program_runs(bench: Bench) -> None:
    graph, program = bench.model.network.graph, bench.program
    rng = np.random.default_rng(1)
    (given,), (made,) = program.inputs, program.outputs
    value = rng.integers(-128, 128, given.shape).astype(np.int8)
    expected = run_reference(graph, {given.tensor_index: value})[made.tensor_index]
    ctypes.memmove(bench.arena.address + given.offset, value.tobytes(), given.size)
    assert bench.start() == "OK"
    assert bench.call("npu_wait", 0) == "OK"
    assert bench.arena.bytes(made.offset, made.size) == expected.tobytes()
    assert bench.device.cycles > 100
    assert bench.call("npu_poll") == "IDLE"


def test_where_inputs_and_outputs_lie(bench: Bench) -> None:
    size = ctypes.c_size_t()
    for name, bindings in (("input", bench.program.inputs), ("output", bench.program.outputs)):
        function = getattr(bench.library, f"npu_{name}")
        function.restype = ctypes.c_void_p
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
        for number, binding in enumerate(bindings):
            place = function(bench.segment.address, 4096, number, ctypes.addressof(size))
            assert (place, size.value) == (4096 + binding.offset, binding.size)
        assert function(bench.segment.address, 4096, len(bindings), None) is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"segment": 0}, "ARGUMENT"),
        ({"arena": 0}, "ARGUMENT"),
        ({"bytes": 8}, "SEGMENT"),
        ({"arena_bytes": 8}, "ARENA"),
    ],
)
def test_arguments(bench: Bench, changes: dict[str, int], error: str) -> None:
    assert bench.start(**changes) == error
    assert bench.start(arena=bench.arena.address + 8) == "ARGUMENT"
    assert bench.start(segment=bench.segment.address + 8) == "ARGUMENT"
    assert bench.call("npu_poll") == "IDLE"


@pytest.mark.parametrize(
    ("word", "error"),
    [(0, "SEGMENT"), (1, "SEGMENT"), (2, "CONFIG"), (4, "SEGMENT"), (9, "SEGMENT")],
)
def test_segments_that_are_none(bench: Bench, word: int, error: str) -> None:
    ctypes.c_uint32.from_address(bench.segment.address + 4 * word).value ^= 0xFFFF_FFF3
    assert bench.start() == error


class Hardware:
    """Registers that answer as a test wants."""

    def __init__(self, bench: Bench) -> None:
        self.registers = {
            int(Register.ID): bench.host.hardware.read(Register.ID),
            int(Register.CONFIG_ID): CONFIG.config_id,
        }
        self.controls: list[int] = []
        self._read, self._write = READ(self.read), WRITE(self.write)
        self._bench = bench

    def read(self, offset: int) -> int:
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == Register.CONTROL:
            self.controls.append(value)

    def connect(self) -> str:
        function = self._bench.library.npu_host_connect
        return ERRORS[function(self._read, self._write, 0)]


def test_opening(bench: Bench) -> None:
    hardware = Hardware(bench)
    assert hardware.connect() == "OK"
    assert hardware.controls == [Control.RESET]
    hardware.registers[Register.STATUS] = Status.BUSY
    assert hardware.connect() == "BUSY"
    hardware.registers[Register.ID] = 0
    assert hardware.connect() == "DEVICE"


def test_a_second_request_is_refused(bench: Bench) -> None:
    hardware = Hardware(bench)
    hardware.connect()
    assert bench.start() == "OK"
    assert bench.start() == "BUSY"
    assert bench.call("npu_poll") == "PENDING"
    assert hardware.controls.count(Control.START) == 1
    hardware.registers[Register.STATUS] = Status.DONE
    assert bench.call("npu_poll") == "OK"
    assert bench.start() == "OK"


def test_hardware_that_is_still_busy_is_not_started(bench: Bench) -> None:
    """After a silent bus: ERROR and BUSY, and START would be ignored."""
    hardware = Hardware(bench)
    hardware.connect()
    assert bench.start() == "OK"
    hardware.registers[Register.STATUS] = Status.ERROR | Status.BUSY
    hardware.registers[Register.ERROR_CODE] = ErrorCode.BUS_TIMEOUT
    hardware.registers[Register.ERROR_COMMAND] = 7
    assert bench.call("npu_poll") == "HARDWARE"
    assert (bench.device.code, bench.device.command) == (ErrorCode.BUS_TIMEOUT, 7)
    assert bench.start() == "BUSY"
    hardware.registers[Register.STATUS] = Status.ERROR
    assert bench.start() == "OK"


def test_timeout(bench: Bench) -> None:
    hardware = Hardware(bench)
    hardware.connect()
    assert bench.start() == "OK"
    hardware.registers[event_counter(Event.CYCLES)] = 1001
    assert bench.call("npu_wait", 1000) == "TIMEOUT"
    assert bench.start() == "BUSY"
    hardware.registers[Register.STATUS] = Status.DONE
    assert bench.call("npu_wait", 1000) == "OK"


def test_interrupts(bench: Bench) -> None:
    hardware = Hardware(bench)
    hardware.connect()
    assert bench.start() == "OK"
    interrupt = bench.library.npu_interrupt
    address = ctypes.c_void_p(ctypes.addressof(bench.device))
    interrupt(address)
    assert bench.call("npu_poll") == "PENDING"
    hardware.registers[Register.STATUS] = Status.DONE | Status.IRQ
    interrupt(address)
    assert hardware.controls[-1] == Control.CLEAR_IRQ
    hardware.registers[Register.STATUS] = 0
    assert bench.call("npu_poll") == "OK"


def test_texts(bench: Bench) -> None:
    texts: list[Callable[[int], bytes]] = []
    for name in ("npu_error_text", "npu_code_text"):
        function = getattr(bench.library, name)
        function.restype = ctypes.c_char_p
        texts.append(function)
    assert len({texts[0](n) for n in range(len(ERRORS))}) == len(ERRORS)
    assert texts[0](99) == b"unknown error"
    assert [texts[1](code).decode() for code in ErrorCode] == [CODE_TEXTS[c] for c in ErrorCode]
    assert texts[1](99) == b"unknown code"


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]])
def test_the_driver_is_strict_c99_and_cpp(compiler: list[str], tmp_path: Path) -> None:
    for name, text in driver_files().items():
        (tmp_path / name).write_text(text)
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-ffreestanding"]
    source = str(tmp_path / "npu_driver.c")
    subprocess.run([*compiler, *flags, "-c", source, "-o", str(tmp_path / "o")], check=True)


def test_the_kernel_compiles_with_types_in_either_namespace(tmp_path: Path) -> None:
    """With the minimal declarations that are written here: no package ships TFLM's headers."""
    headers = Path(npu.__path__[0]) / "embedded" / "tflm"
    for name, text in driver_files().items():
        (tmp_path / name).write_text(text)
    for source in headers.rglob("*.h"):
        target = tmp_path / source.relative_to(headers)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", "-c"]
    command += [str(tmp_path / "npu_tflm.cc"), "-o", str(tmp_path / "o")]
    subprocess.run([*command, "-DNPU_TFLM_NAMESPACE=tflite::micro"], check=True)
    # older releases have these types in the global namespace
    for name, types in (
        ("tensorflow/lite/c/common.h", ("enum TfLiteStatus", "union TfLitePtrUnion")),
        ("tensorflow/lite/micro/kernels/kernel_util.h", ("struct TFLMRegistration",)),
    ):
        text = (tmp_path / name).read_text()
        assert all(one in text for one in types)
        before, rest = text.split("namespace tflite {\nnamespace micro {\n", 1)
        if "common" in name:
            rest = rest.replace("}  // namespace micro\n}  // namespace tflite\n", "")
            text = before + rest
        else:
            registration, functions = rest.split("};\n", 1)
            text = (
                f"{before}{registration}}};\nnamespace tflite {{\nnamespace micro {{\n{functions}"
            )
        (tmp_path / name).write_text(text)
    subprocess.run(command, check=True)


def test_the_model_as_c(tmp_path: Path) -> None:
    model = compiled()
    for name, text in c_sources(model, "my-model").items():
        (tmp_path / name).write_text(text)
    (tmp_path / "main.c").write_text(
        """
#include <stdio.h>
#include "my-model.h"
#include "npu_segment.h"
int main(void)
{
    const struct my_model_segment *one = &my_model_segments[0];
    const struct npu_segment *segment = (const void *)(my_model + one->offset);
    printf("%u %u %u %u\\n", MY_MODEL_SEGMENTS, segment->bytes == one->bytes,
           segment->magic == NPU_SEGMENT_MAGIC, (unsigned)((uintptr_t)segment % 16));
    return fwrite(my_model, 1, MY_MODEL_BYTES, stderr) != MY_MODEL_BYTES;
}
"""
    )
    (tmp_path / "npu_segment.h").write_text(driver_files()["npu_segment.h"])
    sources = [str(tmp_path / name) for name in ("main.c", "my-model.c")]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, *sources, "-o", str(tmp_path / "main")], check=True)
    done = subprocess.run([str(tmp_path / "main")], capture_output=True, check=True)
    assert done.stdout == b"1 1 1 0\n"
    assert done.stderr == model.file


@pytest.mark.parametrize(
    ("stem", "name"), [("a-b.c", "a_b_c"), ("2x", "m2x"), ("", "m"), ("ü", "_")]
)
def test_names(stem: str, name: str) -> None:
    assert c_name(stem) == name


def test_the_header_has_every_register() -> None:
    text = register_header()
    for register in Register:
        assert f"#define NPU_{register.name} {int(register):#x}u" in text
    for event in Event:
        assert f"#define NPU_EVENT_{event.name} {event_counter(event):#x}u" in text
    assert FOLDER.is_dir()
