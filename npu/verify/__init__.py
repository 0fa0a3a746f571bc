"""Verifies hardware against the reference: programs aimed at each block, bits, cycles, blame.

`commands -> verify -> sim, rtl`: nothing here knows networks or compilers.
"""

from npu.verify.suite import Outcome, Suite

__all__ = ["Outcome", "Suite"]
