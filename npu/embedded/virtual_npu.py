"""An NPU as its driver sees it: registers, with a simulator behind them."""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from npu.offload.simulators import Simulator
from rtl.config import NpuConfig
from rtl.isa import Region
from rtl.registers import (
    DEFAULT_TIMEOUT,
    ID_VALUE,
    Control,
    ErrorCode,
    Event,
    Register,
    Status,
    event_counter,
    region_base,
    region_size,
)
from sim.errors import CommandError
from sim.program import Program, TensorBinding

PointerOf = Callable[[int], int]
"""The address in this process of what lies at an address of the bus."""


class VirtualNpu:
    """Registers of one NPU; START runs a program to its end.

    Parameters
    ----------
    config : the hardware. simulate : what runs programs.
    pointer_of : translates addresses of the bus.

    Attributes
    ----------
    failure : what a simulator raised that hardware cannot: kept for whoever called the driver.
    """

    def __init__(self, config: NpuConfig, simulate: Simulator, pointer_of: PointerOf) -> None:
        self._config, self._simulate, self._pointer_of = config, simulate, pointer_of
        self._registers: dict[int, int] = {}
        self.failure: Exception | None = None
        self._reset()

    def _reset(self) -> None:
        self._registers = {
            Register.ID: ID_VALUE,
            Register.CONFIG_ID: self._config.config_id,
            Register.BUS_TIMEOUT: DEFAULT_TIMEOUT,
        }

    def read(self, offset: int) -> int:
        """The value of a register; 0 where there is none."""
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register; returns when what that starts has ended."""
        if offset in (Register.ID, Register.CONFIG_ID, Register.STATUS):
            return
        if offset != Register.CONTROL:
            self._registers[offset] = value
            return
        if value & Control.CLEAR_IRQ:
            self._registers[Register.STATUS] = self.read(Register.STATUS) & ~Status.IRQ
        if value & Control.RESET:
            self._reset()
        elif value & Control.START:
            self._start()

    def fail(self, error: Exception) -> None:
        """A simulator has failed as no hardware does: the driver sees a bus error."""
        self.failure = error
        self._registers |= {
            Register.STATUS: Status.ERROR | Status.IRQ,
            Register.ERROR_CODE: ErrorCode.READ_BUS,
            Register.ERROR_COMMAND: 0,
        }

    def _memory(self, address: int, size: int) -> NDArray[np.uint8]:
        if not size:
            return np.zeros(0, np.uint8)
        memory = (ctypes.c_uint8 * size).from_address(self._pointer_of(self.read(address)))
        return np.frombuffer(memoryview(memory), np.uint8)

    def _start(self) -> None:
        commands = self._memory(Register.COMMAND_BASE, self.read(Register.COMMAND_BYTES))
        constants, arena = (
            self._memory(region_base(region), self.read(region_size(region)))
            for region in (Region.CONSTANTS, Region.ARENA)
        )
        whole = (TensorBinding("arena", 0, 0, (len(arena),)),) if len(arena) else ()
        program = Program(
            config=self._config,
            commands=commands.view(np.uint64),
            constants=constants,
            arena_bytes=len(arena),
            inputs=whole,
            outputs=whole,
        )
        code, command, status = ErrorCode.NONE, 0, Status.DONE | Status.IRQ
        try:
            result = self._simulate(program, {0: arena.view(np.int8)} if whole else {}, None)
        except CommandError as error:
            code, command, status = error.code, error.command, Status.ERROR | Status.IRQ
        else:
            if whole:
                arena.view(np.int8)[...] = result.outputs[0]
            self._registers[event_counter(Event.CYCLES)] = result.cycles or 0
        self._registers |= {
            Register.STATUS: status,
            Register.ERROR_CODE: code,
            Register.ERROR_COMMAND: command,
        }
