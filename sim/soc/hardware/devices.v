// The bench's own devices, each a 32-bit register (byte offsets):
//   00 console: the low byte of what is written is printed
//   04 exit: writing ends the simulation with that code
//   08, 0C cycles since reset, low and high half
//   10 marker: what is written is recorded with the cycle
//   14 wait states of the memories
//   18 trap: the address of an instruction that trapped; written before `exit`
// Writes become events for the harness, which sees them one cycle later.
module devices (
    input clk,
    input rst,
    input [7:0] wait_states,
    input request,
    input write,
    input [31:0] address,
    input [31:0] write_data,
    output reg [31:0] read_data,
    output reg event_valid,
    output reg [2:0] event_kind,
    output reg [31:0] event_data
);
    reg [63:0] cycles;
    always @* begin
        case (address[4:2])
            3'd2: read_data = cycles[31:0];
            3'd3: read_data = cycles[63:32];
            3'd5: read_data = {24'd0, wait_states};
            default: read_data = 32'd0;
        endcase
    end
    always @(posedge clk) begin
        cycles <= rst ? 64'd0 : cycles + 64'd1;
        event_valid <= request & write & ~rst;
        event_kind <= address[4:2];
        event_data <= write_data;
    end
endmodule
