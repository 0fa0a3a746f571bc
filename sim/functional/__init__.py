"""Executes a program command by command, with the memory contents that the hardware would have."""

from sim.functional.simulator import FunctionalSimulator

__all__ = ["FunctionalSimulator"]
