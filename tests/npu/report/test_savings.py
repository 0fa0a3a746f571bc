"""What `npu run` says about weights that other hardware would decode."""

from functools import partial

import pytest

from npu.report.savings import decoder_lines
from rtl.config import PRESETS
from tests.npu.compiler.stream.test_encoding import (
    DECODING,
    PLAIN,
    both,
    int4,
    loaded_bytes,
    network,
    weight_loads,
)
from tests.npu.compiler.support import compile_model
from tests.support.compressed_models import Change, changed, clustered, pruned


@pytest.mark.parametrize(
    "change",
    [clustered, int4, partial(pruned, share=0.8), partial(both, change=int4, share=0.8)],
    ids=["clustered", "int4", "pruned", "both"],
)
def test_what_would_be_saved(change: Change) -> None:
    model = changed(network(), change)
    (line,) = decoder_lines(compile_model(model, PLAIN)[2], PLAIN)
    words = line.replace(",", "").split()
    dense, encoded = [int(word) for word in words if word.isdigit()][:2]
    assert dense == loaded_bytes(weight_loads(model, PLAIN))
    assert encoded == pytest.approx(loaded_bytes(weight_loads(model, DECODING)), rel=0.2)
    assert "(npu64c or npu256c)" in line


def test_nothing_to_say() -> None:
    """Weights of many values, and hardware that decodes them."""
    assert decoder_lines(compile_model(network(), PLAIN)[2], PLAIN) == []
    model = changed(network(), clustered)
    assert decoder_lines(compile_model(model, DECODING)[2], DECODING) == []
    single = PRESETS["npu1024"]
    assert decoder_lines(compile_model(model, single)[2], single) != []
