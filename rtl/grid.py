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


class PixelRow(wiring.Component):
    """The K x C multipliers that work on one output pixel.

    Latency: 3 cycles: operands, products, sums, each stage with an enable of its own so that
    nothing switches in vain. Throughput: one operation per cycle.

    Parameters
    ----------
    config : sets K and C.

    Members
    -------
    take, operands : register one activation word per column.
    multiply, weights : multiply them with the columns' weight words.
    add_lanes : `sums[k]` becomes the sum of column k's products.
    add_columns, keep : `columns[c]` becomes the sum of lane c's products over the columns, or with
        `keep` the activation of column 0.
    """

    take: Signal
    operands: list[Signal]
    multiply: Signal
    weights: list[Signal]
    add_lanes: Signal
    add_columns: Signal
    keep: Signal
    sums: list[Signal]
    columns: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        k, c = config.channels, config.lanes
        super().__init__(
            {
                "take": In(1),
                "operands": In(c * 8).array(k),
                "multiply": In(1),
                "weights": In(c * 8).array(k),
                "add_lanes": In(1),
                "add_columns": In(1),
                "keep": In(1),
                "sums": Out(signed(sum_bits(config))).array(k),
                "columns": Out(signed(column_bits(config))).array(c),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        k_range, c_range = range(self.config.channels), range(self.config.lanes)
        products: dict[tuple[int, int], Signal] = {}
        kept: dict[int, Signal] = {}
        for k in k_range:
            operand = Signal(len(self.operands[k]), name=f"operand{k}", reset_less=True)
            with m.If(self.take):
                m.d.sync += operand.eq(self.operands[k])
            for c in c_range:
                activation = operand.word_select(c, 8).as_signed()
                weight = self.weights[k].word_select(c, 8).as_signed()
                product = Signal(signed(16), name=f"product{k}_{c}", reset_less=True)
                products[k, c] = product
                with m.If(self.multiply):
                    m.d.sync += product.eq(activation * weight)
                if k == 0:
                    kept[c] = Signal(signed(8), name=f"kept{c}", reset_less=True)
                    with m.If(self.multiply):
                        m.d.sync += kept[c].eq(activation)
            with m.If(self.add_lanes):
                m.d.sync += self.sums[k].eq(add_tree([products[k, c] for c in c_range]))
        for c in c_range:
            with m.If(self.add_columns):
                total = add_tree([products[k, c] for k in k_range])
                m.d.sync += self.columns[c].eq(Mux(self.keep, kept[c], total))
        return m


def sum_bits(config: NpuConfig) -> int:
    """Width of a sum of C products."""
    return 16 + (config.lanes - 1).bit_length()


def column_bits(config: NpuConfig) -> int:
    """Width of a sum of K products."""
    return 16 + (config.channels - 1).bit_length()


class Grid(wiring.Component):
    """Multiply a window with a weight word: P pixel rows side by side.

    CONV: `sums[p*K + k]` = sum over c of `window[p*s][c] * weight[k][c]`.
    DEPTHWISE: `columns[p*C + c]` = sum over k of `window[p*s + k][c] * weight[k][c]`.
    MAX_POOL: `columns[p*C + c]` = `window[p*s][c]`.

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
                "sums": Out(signed(sum_bits(config))).array(p * k),
                "columns": Out(signed(column_bits(config))).array(p * c),
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

        is_conv = tags[1].mode == GridMode.CONV
        shifted = self.tag.mode == GridMode.DEPTHWISE
        last = config.banks - 1
        for p in range(config.pixels):
            row = PixelRow(config)
            m.submodules[f"row{p}"] = row
            m.d.comb += [
                row.take.eq(self.issue),
                row.multiply.eq(valid[0]),
                row.add_lanes.eq(valid[1] & is_conv),
                row.add_columns.eq(valid[1] & ~is_conv),
                row.keep.eq(tags[1].mode == GridMode.MAX_POOL),
            ]
            for k in range(config.channels):
                near = Mux(shifted, self.window[min(p + k, last)], self.window[p])
                far = Mux(shifted, self.window[min(2 * p + k, last)], self.window[2 * p])
                m.d.comb += [
                    row.operands[k].eq(Mux(self.stride_two, far, near)),
                    row.weights[k].eq(self.weight_columns[k]),
                    self.sums[p * config.channels + k].eq(row.sums[k]),
                ]
            for c in range(config.lanes):
                m.d.comb += self.columns[p * config.lanes + c].eq(row.columns[c])
        return m
