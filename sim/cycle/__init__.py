"""The cycle model: exactly the RTL's cycles and counters, without data and without Verilator."""

from sim.cycle.accounting import LayerAccount, account_layers, add_accounts
from sim.cycle.backend import CycleSimulator
from sim.cycle.simulator import CycleResult, simulate

__all__ = [
    "CycleResult",
    "CycleSimulator",
    "LayerAccount",
    "account_layers",
    "add_accounts",
    "simulate",
]
