"""Properties are proved, and are not true of everything: each fails on a planted bug."""

import pytest

from rtl.skid import SkidBuffer
from tests.formal.__main__ import DOCUMENT
from tests.formal.proof import Assert, Assume, Bench, Proof, prove
from tests.formal.properties import PROOFS

QUICK = [proof for proof in PROOFS if not proof.slow]


@pytest.mark.parametrize("proof", QUICK, ids=lambda proof: proof.says)
def test_property(proof: Proof) -> None:
    assert prove(proof).holds
    assert prove(proof, bug=True).refuted


def _bench(assumption: bool) -> Bench:
    bench = Bench()
    bench.m.submodules.dut = dut = SkidBuffer(2)
    bench.drive(dut.i.valid, dut.i.payload, dut.o.ready, dut.clear)
    if assumption:
        bench.m.d.comb += Assume(~dut.i.valid)
    bench.m.d.comb += Assert(~dut.o.valid)
    return bench


def test_assumptions_are_assumed() -> None:
    def proof(assumption: bool) -> Proof:
        return Proof("skid", "nothing comes out", lambda: _bench(assumption), ("full", "1'1"))

    assert prove(proof(True)).holds
    assert prove(proof(False)).refuted


def test_a_name_that_is_no_signal_is_an_error() -> None:
    proof = Proof("skid", "nothing comes out", lambda: _bench(True), ("nothing_like_it", "1'1"))
    with pytest.raises(RuntimeError, match=r"0 wires are dut\.nothing_like_it"):
        prove(proof, bug=True)


def test_the_document_has_all_properties() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for proof in PROOFS:
        assert f"| {proof.block} | {proof.says} | {proof.kind} | yes | yes |" in text
