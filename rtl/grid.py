"""The multipliers: P x K x C products per cycle and the two ways of adding them up."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig


class GridMode(enum.Enum, shape=2):
    """How operands are chosen and products added."""

    CONV = 0
    DEPTHWISE = 1
    MAX_POOL = 2


class GridTag(data.StructLayout):
    """What travels with a grid operation to the accumulators.

    Members
    -------
    mode : see `GridMode`. first : accumulation starts anew.
    slot : accumulator slot (buffer and word). part : CONV: which K channels of the word.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "mode": GridMode,
                "first": 1,
                "slot": range(2 * config.block_words),
                "part": range(max(config.groups_per_word, 2)),
            }
        )


def add_tree(terms: Sequence[Value]) -> Value:
    """Sum signed terms in a balanced tree; the width grows, so that nothing overflows."""
    level = list(terms)
    while len(level) > 1:
        pairs = [level[i] + level[i + 1] for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


class Grid(wiring.Component):
    """Multiply a window with a weight word.

    CONV: `sums[p][k]` = sum over c of `window[p*s][c] * weight[k][c]`.
    DEPTHWISE: `columns[p][c]` = sum over k of `window[p*s + k][c] * weight[k][c]`.
    MAX_POOL: `columns[p][c]` = `window[p*s][c]`.

    Latency: 3 cycles from `issue` to `valid`: operands, products, sums. Weights are read from
    `weight_columns`, which must arrive one cycle after `issue`. Throughput: one per cycle.

    Parameters
    ----------
    config : sets P, K and C.

    Members
    -------
    issue, window, stride_two, tag : operation; s is 2 when `stride_two`.
    weight_columns : the weight word, C bytes per column, one cycle after `issue`.
    valid, result_tag, sums, columns : the result.
    """

    LATENCY = 3

    issue: Signal
    window: list[Signal]
    stride_two: Signal
    tag: data.View
    weight_columns: list[Signal]
    valid: Signal
    result_tag: data.View
    sums: list[Signal]
    columns: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        self.sum_bits = 16 + (config.lanes - 1).bit_length()
        self.column_bits = 16 + (config.channels - 1).bit_length()
        p, k, c = config.pixels, config.channels, config.lanes
        super().__init__(
            {
                "issue": In(1),
                "window": In(c * 8).array(config.banks),
                "stride_two": In(1),
                "tag": In(GridTag(config)),
                "weight_columns": In(c * 8).array(k),
                "valid": Out(1),
                "result_tag": Out(GridTag(config)),
                "sums": Out(signed(self.sum_bits)).array(p * k),
                "columns": Out(signed(self.column_bits)).array(p * c),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        layout = GridTag(config)
        valid = [Signal(name=f"valid{i}") for i in range(2)]
        tags = [Signal(layout, name=f"tag{i}") for i in range(2)]
        m.d.sync += [valid[0].eq(self.issue), valid[1].eq(valid[0]), self.valid.eq(valid[1])]
        with m.If(self.issue):
            m.d.sync += tags[0].eq(self.tag)
        with m.If(valid[0]):
            m.d.sync += tags[1].eq(tags[0])
        with m.If(valid[1]):
            m.d.sync += self.result_tag.eq(tags[1])

        products: dict[tuple[int, int, int], Signal] = {}
        passed: dict[tuple[int, int], Signal] = {}
        for p in range(config.pixels):
            for k in range(config.channels):
                operand = self._operand(m, p, k)
                for c in range(config.lanes):
                    product = Signal(signed(16), name=f"product_{p}_{k}_{c}", reset_less=True)
                    activation = operand.word_select(c, 8).as_signed()
                    weight = self.weight_columns[k].word_select(c, 8).as_signed()
                    with m.If(valid[0]):
                        m.d.sync += product.eq(activation * weight)
                    products[p, k, c] = product
                    if k == 0:
                        passed[p, c] = Signal(signed(8), name=f"passed_{p}_{c}", reset_less=True)
                        with m.If(valid[0]):
                            m.d.sync += passed[p, c].eq(activation)

        is_conv = tags[1].mode == GridMode.CONV
        is_max = tags[1].mode == GridMode.MAX_POOL
        for p in range(config.pixels):
            for k in range(config.channels):
                terms = [products[p, k, c] for c in range(config.lanes)]
                total = add_tree(terms)
                with m.If(valid[1] & is_conv):
                    m.d.sync += self.sums[p * config.channels + k].eq(total)
            for c in range(config.lanes):
                terms = [products[p, k, c] for k in range(config.channels)]
                total = add_tree(terms)
                with m.If(valid[1] & ~is_conv):
                    m.d.sync += self.columns[p * config.lanes + c].eq(
                        Mux(is_max, passed[p, c], total)
                    )
        return m

    def _operand(self, m: Module, p: int, k: int) -> Signal:
        """Register the window word that PE(p, k) multiplies."""
        last = self.config.banks - 1
        operand = Signal(self.config.lanes * 8, name=f"operand_{p}_{k}", reset_less=True)
        shifted = self.tag.mode == GridMode.DEPTHWISE
        near = Mux(shifted, self.window[min(p + k, last)], self.window[p])
        far = Mux(shifted, self.window[min(2 * p + k, last)], self.window[2 * p])
        with m.If(self.issue):
            m.d.sync += operand.eq(Mux(self.stride_two, far, near))
        return operand
