"""A design of three modules that takes seconds: a memory, and two multipliers behind it."""

from npu.synth.design import Design
from npu.synth.process import Tools
from npu.synth.synthesis import Listener

VERILOG = """
module tiny_leaf(input clk, input [7:0] a, input [7:0] b, input en, output reg [15:0] p);
  always @(posedge clk) if (en) p <= a * b + p;
endmodule
module tiny_mem(input clk, input [9:0] wa, input [9:0] ra, input we, input [7:0] d,
                output reg [7:0] q);
  reg [7:0] m [1023:0];
  always @(posedge clk) begin
    if (we) m[wa] <= d;
    q <= m[ra];
  end
endmodule
module tiny(input clk, input [9:0] wa, input [9:0] ra, input we, input [7:0] d, input [7:0] b,
            output [15:0] p, output [15:0] r);
  wire [7:0] q;
  reg [3:0] n;
  always @(posedge clk) n <= n + we;
  tiny_mem store(clk, wa, ra, we, d, q);
  tiny_leaf one(clk, q, b, we, p);
  tiny_leaf two(clk, q ^ b, p[7:0], n[3], r);
endmodule
"""

TINY = Design(name="tiny", top="tiny", files=(VERILOG,))

_TABLE = '(two) { index_1 ("0.01, 0.1"); index_2 ("0.1, 1"); values ("0.1, 0.2", "0.2, 0.3"); }'
_CURVES = " ".join(f"{curve} {_TABLE}" for curve in ("cell_rise", "cell_fall"))
_SLOPES = " ".join(f"{curve} {_TABLE}" for curve in ("rise_transition", "fall_transition"))


def _gate(name: str, area: float, inputs: str, function: str) -> str:
    pins = " ".join(f"pin ({i}) {{ direction : input; capacitance : 0.01; }}" for i in inputs)
    timing = " ".join(
        f'timing () {{ related_pin : "{i}"; timing_sense : negative_unate; {_CURVES} {_SLOPES} }}'
        for i in inputs
    )
    output = f'pin (Y) {{ direction : output; function : "{function}"; {timing} }}'
    return f"cell ({name}) {{ area : {area}; {pins} {output} }}"


LIBERTY = f"""
/* cell (NAND2_IN_A_COMMENT) {{ area : 0.1; }} */
library (demo) {{
  delay_model : table_lookup; time_unit : "1ns"; capacitive_load_unit (1, pf);
  lu_table_template (two) {{
    variable_1 : total_output_net_capacitance; variable_2 : input_net_transition;
    index_1 ("0.01, 0.1"); index_2 ("0.1, 1");
  }}
  {_gate("INV", 1, "A", "(!A)")}
  {_gate("NAND2", 2, "AB", "(!(A B))")}
  {_gate("NOR2", 2, "AB", "(!(A + B))")}
  {_gate("BUF", 2, "A", "A")}
  {_gate('"BIG_NAND2"', 4, "AB", "(!(A B))")}
  cell (DFF) {{ area : 8; ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CLK"; }}
    pin (D) {{ direction : input; capacitance : 0.01; }}
    pin (CLK) {{ direction : input; clock : true; capacitance : 0.01; }}
    pin (Q) {{ direction : output; function : "IQ"; }} }}
}}
"""
"""Areas: NAND and NOR 2, inverter 1, flip-flop 8; with fewer gates abc refuses a library."""


class Recorder:
    """Keeps what a listener is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.phases: list[tuple[str, str]] = []
        self.listener = Listener(self.lines.append, lambda step, doing: self._phase(step, doing))

    def _phase(self, step: str, doing: str) -> None:
        self.phases.append((step, doing))


def quiet_tools() -> Tools:
    """Tools, one at a time."""
    return Tools(1)
