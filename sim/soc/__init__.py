"""The bench SoC: a RISC-V core, memories and the NPU in one RTL simulation, and its firmware."""
