// CV32E40P with packed SIMD (OBI) behind the buses of the bench SoC. It has no caches: every fetch
// and every access is one transaction, granted when the memory performs it; its data follows in the
// next cycle, while the next access may be under way.
module cpu (
    input clk,
    input rst,
    input irq,
    output instruction_request,
    output instruction_more,
    output [31:0] instruction_address,
    input instruction_ack,
    input [31:0] instruction_data,
    output data_request,
    output data_more,
    output data_write,
    output [31:0] data_address,
    output [3:0] data_strobe,
    output [31:0] data_write_data,
    input data_ack,
    input [31:0] data_read_data
);
    // the machine external interrupt's line
    localparam EXTERNAL = 11;

    logic instruction_valid, data_valid;
    logic [31:0] instruction_register, data_register;
    always_ff @(posedge clk) begin
        instruction_valid <= instruction_ack & ~rst;
        data_valid <= data_ack & ~rst;
        if (instruction_ack) instruction_register <= instruction_data;
        if (data_ack) data_register <= data_read_data;
    end
    assign instruction_more = 1'b0;
    assign data_more = 1'b0;

    cv32e40p_top #(
        .COREV_PULP(1),
        .NUM_MHPMCOUNTERS(1)
    ) core (
        .clk_i(clk),
        .rst_ni(~rst),
        .pulp_clock_en_i(1'b1),
        .scan_cg_en_i(1'b0),
        .boot_addr_i(32'd0),
        .mtvec_addr_i(32'd0),
        .dm_halt_addr_i(32'd0),
        .hart_id_i(32'd0),
        .dm_exception_addr_i(32'd0),
        .instr_req_o(instruction_request),
        .instr_gnt_i(instruction_ack),
        .instr_rvalid_i(instruction_valid),
        .instr_addr_o(instruction_address),
        .instr_rdata_i(instruction_register),
        .data_req_o(data_request),
        .data_gnt_i(data_ack),
        .data_rvalid_i(data_valid),
        .data_we_o(data_write),
        .data_be_o(data_strobe),
        .data_addr_o(data_address),
        .data_wdata_o(data_write_data),
        .data_rdata_i(data_register),
        .irq_i(32'(irq) << EXTERNAL),
        .irq_ack_o(),
        .irq_id_o(),
        .debug_req_i(1'b0),
        .debug_havereset_o(),
        .debug_running_o(),
        .debug_halted_o(),
        .fetch_enable_i(1'b1),
        .core_sleep_o()
    );
endmodule
