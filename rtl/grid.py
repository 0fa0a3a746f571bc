"""The multipliers: P x K x C products per cycle and the two ways of adding them up."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.multiplier import Multiplier


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

    Column k has C multipliers. Their sum is the dot product of CONV; the sums of each K of them are
    its lanes k*C/K and following of DEPTHWISE, so both come from the same adders.

    Latency: 4 cycles: operands, products, pairs, sums, each stage with an enable of its own so that
    nothing switches in vain. Throughput: one operation per cycle.

    Parameters
    ----------
    config : sets K and C.

    Members
    -------
    take, operands, weights : register C activations and C weights per column.
    multiply, add_pairs, add : multiply them, and add up in two steps.
    sums[k] : the sum of column k's products. columns[c] : the sum of lane c's.
    """

    LATENCY = Multiplier.LATENCY + 2

    take: Signal
    operands: list[Signal]
    weights: list[Signal]
    multiply: Signal
    add_pairs: Signal
    add: Signal
    sums: list[Signal]
    columns: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        k, c = config.channels, config.lanes
        super().__init__(
            {
                "take": In(1),
                "operands": In(c * 8).array(k),
                "weights": In(c * 8).array(k),
                "multiply": In(1),
                "add_pairs": In(1),
                "add": In(1),
                "sums": Out(signed(sum_bits(config))).array(k),
                "columns": Out(signed(column_bits(config))).array(c),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taps, lanes = self.config.channels, self.config.lanes
        for k in range(self.config.channels):
            products: list[Value] = []
            for i in range(lanes):
                multiplier = Multiplier(signed(8), signed(8))
                m.submodules[f"multiplier{k}_{i}"] = multiplier
                m.d.comb += [
                    multiplier.take.eq(self.take),
                    multiplier.a.eq(self.operands[k].word_select(i, 8)),
                    multiplier.b.eq(self.weights[k].word_select(i, 8)),
                    multiplier.multiply.eq(self.multiply),
                ]
                products.append(multiplier.product)
            # registered, or synthesis merges the whole tree into a carry-save adder twice the size
            pairs = [
                Signal(signed(17), name=f"pair{k}_{i}", reset_less=True) for i in range(lanes // 2)
            ]
            with m.If(self.add_pairs):
                m.d.sync += [
                    pair.eq(a + b)
                    for pair, a, b in zip(pairs, products[::2], products[1::2], strict=True)
                ]
            columns = self._columns(m, k, products, pairs)
            terms = columns if taps > 1 else pairs
            results = [self.sums[k], *self.columns[k * len(columns) : (k + 1) * len(columns)]]
            for result, value in zip(results, [add_tree(terms), *columns], strict=True):
                total = Signal.like(result, name=f"{result.name}_total", reset_less=True)
                m.d.comb += result.eq(total)
                with m.If(self.add):
                    m.d.sync += total.eq(value)
        return m

    def _columns(
        self, m: Module, k: int, products: list[Value], pairs: list[Signal]
    ) -> list[Value]:
        """The sums of each K products of column k, before the last register."""
        taps = self.config.channels
        if taps == 1:
            kept = [
                Signal(signed(16), name=f"kept{k}_{i}", reset_less=True)
                for i in range(len(products))
            ]
            with m.If(self.add_pairs):
                m.d.sync += [
                    target.eq(product) for target, product in zip(kept, products, strict=True)
                ]
            return list(kept)
        columns: list[Value] = []
        for i in range(0, len(pairs), taps // 2):
            column = Signal(signed(column_bits(self.config)), name=f"column{k}_{i}")
            m.d.comb += column.eq(add_tree(pairs[i : i + taps // 2]))
            columns.append(column)
        return columns


def sum_bits(config: NpuConfig) -> int:
    """Width of a sum of C products."""
    return 16 + (config.lanes - 1).bit_length()


def column_bits(config: NpuConfig) -> int:
    """Width of a sum of K products."""
    return 16 + (config.channels - 1).bit_length()


class Grid(wiring.Component):
    """Multiply a window with a weight word: P pixel rows side by side.

    CONV: `sums[p*K + k]` = sum over c of `window[p*s][c] * weight[k*C + c]`.
    DEPTHWISE: `columns[p*C + c]` = sum over k of `window[p*s + k][c] * weight[c*K + k]`.
    MAX_POOL: `columns[p*C + c]` = `window[p*s][c]`: the weight of tap 0 counts as 1, others as 0.

    Latency: `LATENCY` cycles from `issue` to `valid`. Weights are read from `weight_columns`, which
    must arrive one cycle after `issue`; the stride, which is the command's, is used later.
    Throughput: one per cycle.

    Parameters
    ----------
    config : sets P, K and C.

    Members
    -------
    issue, window, tag : operation. stride_two : s is 2.
    weight_columns : the weight word, C bytes per column, one cycle after `issue`.
    valid, result_tag, sums, columns : the result.
    coming_valid, coming_tag : there is one in the next cycle, and its tag.
    """

    LATENCY = 2 + PixelRow.LATENCY

    issue: Signal
    window: list[Signal]
    stride_two: Signal
    tag: data.View
    weight_columns: list[Signal]
    valid: Signal
    result_tag: data.View
    coming_valid: Signal
    coming_tag: data.View
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
                "coming_valid": Out(1),
                "coming_tag": Out(GridTag(config)),
                "sums": Out(signed(sum_bits(config))).array(p * k),
                "columns": Out(signed(column_bits(config))).array(p * c),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        valids = [self.issue] + [Signal(name=f"valid{i}") for i in range(self.LATENCY)]
        tags: list[Any] = [self.tag] + [
            Signal(GridTag(config), name=f"tag{i}", reset_less=True) for i in range(self.LATENCY)
        ]
        for i in range(self.LATENCY):
            m.d.sync += valids[i + 1].eq(valids[i])
            with m.If(valids[i]):
                m.d.sync += tags[i + 1].eq(tags[i])
        m.d.comb += [
            self.valid.eq(valids[-1]),
            self.result_tag.eq(tags[-1]),
            self.coming_valid.eq(valids[-2]),
            self.coming_tag.eq(tags[-2]),
        ]

        # weights come from memories, which are slow
        window = list(self.window)
        for stage in range(2):
            held = [
                Signal(config.lanes * 8, name=f"held{stage}_{j}", reset_less=True)
                for j in range(config.banks)
            ]
            with m.If(valids[stage]):
                m.d.sync += [target.eq(word) for target, word in zip(held, window, strict=True)]
            window = held
        weights = [
            Signal(config.lanes * 8, name=f"weights{k}", reset_less=True)
            for k in range(config.channels)
        ]
        is_max = tags[1].mode == GridMode.MAX_POOL
        with m.If(valids[1]):
            for k, i in product(range(config.channels), range(config.lanes)):
                arrived = self.weight_columns[k].word_select(i, 8)
                neutral = int(i % config.channels == 0)
                m.d.sync += weights[k].word_select(i, 8).eq(Mux(is_max, neutral, arrived))
        mode = tags[2].mode
        for p in range(config.pixels):
            row = PixelRow(config)
            m.submodules[f"row{p}"] = row
            m.d.comb += [
                row.take.eq(valids[2]),
                row.multiply.eq(valids[3]),
                row.add_pairs.eq(valids[4]),
                row.add.eq(valids[5]),
            ]
            for k in range(config.channels):
                m.d.comb += [
                    row.operands[k].eq(self._operands(window, mode, p, k)),
                    row.weights[k].eq(weights[k]),
                    self.sums[p * config.channels + k].eq(row.sums[k]),
                ]
            for c in range(config.lanes):
                m.d.comb += self.columns[p * config.lanes + c].eq(row.columns[c])
        return m

    def _operands(self, window: list[Signal], mode: Value, p: int, k: int) -> Value:
        """The C activations of column k of pixel p."""
        config = self.config
        last = config.banks - 1
        groups = config.groups_per_word
        bytes_ = []
        for i in range(config.lanes):
            lane, tap = k * groups + i // config.channels, i % config.channels
            near, far = (
                Mux(
                    mode == GridMode.CONV,
                    window[base].word_select(i, 8),
                    window[min(base + tap, last)].word_select(lane, 8),
                )
                for base in (p, 2 * p)
            )
            bytes_.append(Mux(self.stride_two, far, near))
        return Cat(bytes_)
