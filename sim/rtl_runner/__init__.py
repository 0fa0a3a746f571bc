"""Runs programs on the RTL, compiled by Verilator, behind a C++ memory and register bus."""

from sim.rtl_runner.bus import BusFaults, Silence
from sim.rtl_runner.runner import RtlSimulator

__all__ = ["BusFaults", "RtlSimulator", "Silence"]
