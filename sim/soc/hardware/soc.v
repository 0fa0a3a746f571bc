// The bench SoC: a CPU, three memories, the bench's devices and, with HAS_NPU, the NPU.
//
//   0000_0000  1 MiB   code and constant data of the firmware
//   1000_0000  16 MiB  network image, read-only
//   2000_0000  16 MiB  RAM
//   8000_0000          devices (devices.v)
//   9000_0000          the NPU's registers
//
// Every memory has one port (memory.v); accesses to different memories go on at the same time.
// CPU and NPU see the same addresses and the same wait states. An access by the CPU's data bus
// outside this map, or a write to code or image, raises `fault`; the NPU gets an AXI error. A fetch
// outside reads zeros, which no CPU executes.
module soc #(
    parameter BUS_WORDS = 2
) (
    input clk,
    input rst,
    input [7:0] wait_states,
    output event_valid,
    output [2:0] event_kind,
    output [31:0] event_data,
    output reg fault_valid,
    output reg [31:0] fault_address,
    output npu_irq
);
    localparam CODE_WORDS = 1 << 18, IMAGE_WORDS = 1 << 22, RAM_WORDS = 1 << 22;
    localparam CODE = 0, IMAGE = 1, RAM = 2;

    wire i_request, i_more, d_request, d_more, d_write;
    wire [31:0] i_address, d_address, d_write_data;
    wire [3:0] d_strobe;
    wire n_read_request, n_read_more, n_write_request, n_write_more;
    wire [31:0] n_read_address, n_write_address;
    wire [4*BUS_WORDS-1:0] n_write_strobe;
    wire [32*BUS_WORDS-1:0] n_write_data;

    function [2:0] memory_of(input [31:0] address);
        memory_of = {
            address[31:24] == 8'h20, address[31:24] == 8'h10, address[31:20] == 12'h000
        };
    endfunction
    wire [2:0] i_memory = memory_of(i_address);
    wire [2:0] d_memory = memory_of(d_address) & {1'b1, {2{~d_write}}};
    wire [2:0] n_read_memory = memory_of(n_read_address);
    wire [2:0] n_write_memory = memory_of(n_write_address) & 3'b100;
    wire d_devices = d_address[31:28] == 4'h8;
    wire d_npu = d_address[31:28] == 4'h9;

    wire [3:0] more = {n_write_more, n_read_more, d_more, i_more};
    wire [3:0] ack[0:2];
    wire [31:0] i_data[0:2];
    wire [31:0] d_data[0:2];
    wire [32*BUS_WORDS-1:0] n_data[0:2];
    genvar m;
    generate
        for (m = CODE; m <= RAM; m = m + 1) begin : memories
            memory #(
                .WORDS(m == CODE ? CODE_WORDS : m == IMAGE ? IMAGE_WORDS : RAM_WORDS),
                .BUS_WORDS(BUS_WORDS)
            ) storage (
                .clk(clk),
                .rst(rst),
                .wait_states(wait_states),
                .request({
                    n_write_request & n_write_memory[m],
                    n_read_request & n_read_memory[m],
                    d_request & d_memory[m],
                    i_request & i_memory[m]
                }),
                .more(more),
                .ack(ack[m]),
                .address_0(i_address),
                .address_1(d_address),
                .address_2(n_read_address),
                .address_3(n_write_address),
                .write_1(d_write),
                .strobe_1(d_strobe),
                .write_data_1(d_write_data),
                .strobe_3(n_write_strobe),
                .write_data_3(n_write_data),
                .read_data_0(i_data[m]),
                .read_data_1(d_data[m]),
                .read_data_2(n_data[m])
            );
        end
    endgenerate
    wire [3:0] memory_ack = ack[CODE] | ack[IMAGE] | ack[RAM];

    wire [31:0] devices_data, registers_data;
    wire registers_ack, registers_error;
    wire i_ack = memory_ack[0] | i_request & ~|i_memory;
    wire d_nowhere = ~|d_memory & ~d_devices & ~d_npu;
    wire d_ack = memory_ack[1] | d_request & (d_devices | d_nowhere) | registers_ack;
    wire [31:0] d_read_data = d_memory[RAM] ? d_data[RAM] : d_memory[IMAGE] ? d_data[IMAGE] :
        d_memory[CODE] ? d_data[CODE] : d_devices ? devices_data : registers_data;

    cpu cpu (
        .clk(clk),
        .rst(rst),
        .irq(npu_irq),
        .instruction_request(i_request),
        .instruction_more(i_more),
        .instruction_address(i_address),
        .instruction_ack(i_ack),
        .instruction_data(i_memory[CODE] ? i_data[CODE] : i_memory[RAM] ? i_data[RAM] :
            i_memory[IMAGE] ? i_data[IMAGE] : 32'd0),
        .data_request(d_request),
        .data_more(d_more),
        .data_write(d_write),
        .data_address(d_address),
        .data_strobe(d_strobe),
        .data_write_data(d_write_data),
        .data_ack(d_ack),
        .data_read_data(d_read_data)
    );

    devices devices (
        .clk(clk),
        .rst(rst),
        .wait_states(wait_states),
        .request(d_request & d_devices),
        .write(d_write),
        .address(d_address),
        .write_data(d_write_data),
        .read_data(devices_data),
        .event_valid(event_valid),
        .event_kind(event_kind),
        .event_data(event_data)
    );

    always @(posedge clk) begin
        fault_valid <= ~rst & d_request & (d_nowhere | registers_ack & registers_error);
        fault_address <= d_address;
    end

`ifdef HAS_NPU
    wire n_read_nowhere = n_read_request & ~|n_read_memory;
    wire n_write_nowhere = n_write_request & ~|n_write_memory;
    npu_ports #(
        .BUS_WORDS(BUS_WORDS)
    ) npu_ports (
        .clk(clk),
        .rst(rst),
        .irq(npu_irq),
        .read_request(n_read_request),
        .read_more(n_read_more),
        .read_address(n_read_address),
        .read_ack(memory_ack[2] | n_read_nowhere),
        .read_error(n_read_nowhere),
        .read_data(n_read_memory[RAM] ? n_data[RAM] : n_read_memory[IMAGE] ? n_data[IMAGE] :
            n_data[CODE]),
        .write_request(n_write_request),
        .write_more(n_write_more),
        .write_address(n_write_address),
        .write_strobe(n_write_strobe),
        .write_data(n_write_data),
        .write_ack(memory_ack[3] | n_write_nowhere),
        .write_error(n_write_nowhere),
        .register_request(d_request & d_npu),
        .register_write(d_write),
        .register_address(d_address),
        .register_write_data(d_write_data),
        .register_ack(registers_ack),
        .register_error(registers_error),
        .register_read_data(registers_data)
    );
`else
    assign n_read_request = 1'b0;
    assign n_read_more = 1'b0;
    assign n_read_address = 32'd0;
    assign n_write_request = 1'b0;
    assign n_write_more = 1'b0;
    assign n_write_address = 32'd0;
    assign n_write_strobe = 0;
    assign n_write_data = 0;
    assign registers_ack = d_request & d_npu;
    assign registers_error = 1'b1;
    assign registers_data = 32'd0;
    assign npu_irq = 1'b0;
`endif
endmodule
