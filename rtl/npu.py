"""The NPU's top level: blocks, their connections, and flat ports."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from rtl.axi import AxiLite, AxiRead, AxiWrite
from rtl.buffers import LookupTable, ParameterBuffer, WeightBuffer
from rtl.command_fetch import CommandFetch
from rtl.compute_engine import ComputeEngine
from rtl.config import NpuConfig
from rtl.control import Control
from rtl.dispatcher import Dispatcher
from rtl.interfaces import INDEX_BITS
from rtl.load_engine import LoadEngine
from rtl.read_manager import ReadManager
from rtl.registers import Event
from rtl.scratchpad import Scratchpad
from rtl.store_engine import StoreEngine

ENGINE_NAMES = ("load", "compute", "store")
"""Engines in the order of the trace port's bits."""


class Npu(wiring.Component):
    """The whole accelerator.

    Ports: `clk`, `rst` (synchronous, active high, registered inside); `m_axi_*`, an AXI4 manager;
    `s_axil_*`, an AXI4-Lite subordinate with the registers of `rtl/registers.py`; `irq`; and a
    trace port: bit n of `trace_start` and `trace_done` pulses when engine n (`ENGINE_NAMES`) starts
    and completes the command whose index is on `trace_index_<engine>`.

    Parameters
    ----------
    config : the hardware.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        ports: dict[str, Any] = {
            "clk": In(1),
            "rst": In(1),
            "irq": Out(1),
            "trace_start": Out(len(ENGINE_NAMES)),
            "trace_done": Out(len(ENGINE_NAMES)),
        }
        for engine in ENGINE_NAMES:
            ports[f"trace_index_{engine}"] = Out(INDEX_BITS)
        for prefix, signature in self._buses():
            for name, member in signature.members.items():
                ports[f"{prefix}_{name}"] = member
        super().__init__(ports)

    def _buses(self) -> list[tuple[str, Any]]:
        return [
            ("m_axi", AxiRead(self.config)),
            ("m_axi", AxiWrite(self.config)),
            ("s_axil", AxiLite().flip()),
        ]

    def _attach(self, m: Module, prefix: str, bus: Any) -> None:
        """Connect a block's bus to the flat ports of the same names."""
        for name, member in bus.signature.members.items():
            port, signal = getattr(self, f"{prefix}_{name}"), getattr(bus, name)
            m.d.comb += port.eq(signal) if member.flow == Out else signal.eq(port)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.domains.sync = sync = ClockDomain()
        m.domains.reset = reset = ClockDomain(reset_less=True)
        held = Signal(init=1)
        m.d.reset += held.eq(self.rst)
        m.d.comb += [sync.clk.eq(self.clk), reset.clk.eq(self.clk), sync.rst.eq(held)]

        m.submodules.control = control = Control(config)
        m.submodules.fetch = fetch = CommandFetch(config)
        m.submodules.dispatcher = dispatcher = Dispatcher(config)
        m.submodules.reads = reads = ReadManager(config)
        m.submodules.load = load = LoadEngine(config)
        m.submodules.compute = compute = ComputeEngine(config)
        m.submodules.store = store = StoreEngine(config)
        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.weights = weights = WeightBuffer(config)
        m.submodules.parameters = parameters = ParameterBuffer(config)
        m.submodules.table = table = LookupTable(config)

        self._attach(m, "m_axi", reads.axi)
        self._attach(m, "m_axi", store.axi)
        self._attach(m, "s_axil", control.axil)

        connect(m, fetch.read, reads.fetch)
        connect(m, fetch.words, dispatcher.words)
        connect(m, load.read, reads.load)
        connect(m, load.scratchpad, scratchpad.load)
        connect(m, load.weights, weights.write)
        connect(m, load.parameters, parameters.write)
        connect(m, load.table, table.write)
        if config.pruned_weights:
            connect(m, load.steps, compute.list_write)
        connect(m, parameters.channels, compute.parameters)
        connect(m, compute.table, table.read)
        connect(m, compute.fetch, scratchpad.fetch)
        connect(m, compute.output, scratchpad.output)
        connect(m, store.scratchpad, scratchpad.store)
        connect(m, dispatcher.error, control.dispatcher_error)
        connect(m, load.region, control.load_region)
        connect(m, store.region, control.store_region)
        connect(m, control.read_attributes, reads.attributes)
        connect(m, control.write_attributes, store.attributes)
        connect(m, reads.watch, control.reads)
        connect(m, store.watch, control.writes)

        engines: tuple[Any, ...] = (load, compute, store)
        for name, engine in zip(ENGINE_NAMES, engines, strict=True):
            connect(m, getattr(dispatcher, name), engine.beats)
            connect(m, engine.status, getattr(control, name))
            connect(m, engine.error, getattr(control, f"{name}_error"))
            m.d.comb += [
                engine.done_counts.load.eq(control.done_counts.load),
                engine.done_counts.compute.eq(control.done_counts.compute),
                engine.done_counts.store.eq(control.done_counts.store),
                engine.halt.eq(control.halt),
                engine.clear.eq(control.clear),
                getattr(self, f"trace_index_{name}").eq(engine.status.index),
            ]

        m.d.comb += [
            fetch.start.eq(control.start),
            fetch.base.eq(control.command_base),
            fetch.size.eq(control.command_bytes),
            fetch.halt.eq(control.halt),
            fetch.clear.eq(control.clear),
            dispatcher.start.eq(control.start),
            dispatcher.halt.eq(control.halt),
            dispatcher.clear.eq(control.clear),
            dispatcher.exhausted.eq(fetch.exhausted),
            dispatcher.engines_idle.eq(Cat(engine.status.idle for engine in engines).all()),
            control.finished.eq(dispatcher.finished),
            control.position.eq(dispatcher.index),
            control.progress.eq(dispatcher.progress),
            control.reads_idle.eq(reads.idle),
            self.irq.eq(control.irq),
            self.trace_start.eq(Cat(engine.status.start for engine in engines)),
            self.trace_done.eq(Cat(engine.status.done for engine in engines)),
            weights.enable.eq(compute.weight_enable),
            weights.address.eq(compute.weight_address),
            parameters.enable.eq(compute.parameter_enable),
            parameters.address.eq(compute.parameter_address),
            parameters.part.eq(compute.parameter_part),
        ]
        for column, source in zip(compute.weight_columns, weights.columns, strict=True):
            m.d.comb += column.eq(source)
        events = {
            Event.LOAD_BUSY: load.status.busy,
            Event.COMPUTE_BUSY: compute.status.busy,
            Event.STORE_BUSY: store.status.busy,
            Event.MAC_ACTIVE: compute.mac_active,
            Event.MAC_WAIT_WINDOW: compute.mac_wait_window,
            Event.MAC_WAIT_ACCUMULATOR: compute.mac_wait_accumulator,
            Event.OUTPUT_ACTIVE: compute.output_active,
            Event.FETCH_ACTIVE: compute.fetch_active,
            Event.LOAD_WAIT: load.status.waiting,
            Event.COMPUTE_WAIT: compute.status.waiting,
            Event.STORE_WAIT: store.status.waiting,
            Event.READ_BEATS: self.m_axi_rvalid & self.m_axi_rready,
            Event.WRITE_BEATS: self.m_axi_wvalid & self.m_axi_wready,
            Event.LOAD_WRITE_STALL: scratchpad.load.valid & ~scratchpad.load.ready,
            Event.STORE_READ_STALL: scratchpad.store.valid & ~scratchpad.store.ready,
        }
        for event, active in events.items():
            m.d.comb += control.events[event].eq(active)
        return m
