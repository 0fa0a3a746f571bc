// VexRiscv (Wishbone) behind the buses of the bench SoC.
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
    // Wishbone's cycle type of a burst that goes on
    localparam INCREMENTING = 3'b010;

    wire i_cycle, i_strobe, d_cycle, d_strobe;
    wire [2:0] i_type, d_type;
    assign instruction_request = i_cycle & i_strobe;
    assign instruction_more = i_type == INCREMENTING;
    assign instruction_address[1:0] = 2'd0;
    assign data_request = d_cycle & d_strobe;
    assign data_more = d_type == INCREMENTING;
    assign data_address[1:0] = 2'd0;

    VexRiscv core (
        .clk(clk),
        .reset(rst),
        .externalResetVector(32'd0),
        .timerInterrupt(1'b0),
        .softwareInterrupt(1'b0),
        .externalInterruptArray({31'd0, irq}),
        .iBusWishbone_CYC(i_cycle),
        .iBusWishbone_STB(i_strobe),
        .iBusWishbone_ACK(instruction_ack),
        .iBusWishbone_ADR(instruction_address[31:2]),
        .iBusWishbone_DAT_MISO(instruction_data),
        .iBusWishbone_ERR(1'b0),
        .iBusWishbone_CTI(i_type),
        .dBusWishbone_CYC(d_cycle),
        .dBusWishbone_STB(d_strobe),
        .dBusWishbone_ACK(data_ack),
        .dBusWishbone_WE(data_write),
        .dBusWishbone_ADR(data_address[31:2]),
        .dBusWishbone_DAT_MISO(data_read_data),
        .dBusWishbone_DAT_MOSI(data_write_data),
        .dBusWishbone_SEL(data_strobe),
        .dBusWishbone_ERR(1'b0),
        .dBusWishbone_CTI(d_type)
    );
endmodule
