// The NPU's place on the buses: its AXI4 manager in front of two memory ports, and its registers
// behind the CPU's data bus. One read and one write burst are served at a time; the next address
// is accepted with the last beat, so that consecutive bursts follow without a gap. Read data is
// registered: with zero wait states the first beat comes two cycles after its address.
module npu_ports #(
    parameter BUS_WORDS = 2
) (
    input clk,
    input rst,
    output irq,
    // reads (manager 2 of the memories)
    output read_request,
    output read_more,
    output [31:0] read_address,
    input read_ack,
    input read_error,
    input [32*BUS_WORDS-1:0] read_data,
    // writes (manager 3)
    output write_request,
    output write_more,
    output [31:0] write_address,
    output [4*BUS_WORDS-1:0] write_strobe,
    output [32*BUS_WORDS-1:0] write_data,
    input write_ack,
    input write_error,
    // registers
    input register_request,
    input register_write,
    input [31:0] register_address,
    input [31:0] register_write_data,
    output register_ack,
    output register_error,
    output [31:0] register_read_data
);
    localparam BYTES = 4 * BUS_WORDS;

    wire [31:0] ar_address, aw_address;
    wire [7:0] ar_length, aw_length;
    wire ar_valid, aw_valid, r_ready, w_valid, w_last, b_ready;

    // read channels
    reg reading, r_valid, r_last;
    reg [31:0] r_address;
    reg [7:0] r_left;
    reg [1:0] r_response;
    reg [8*BYTES-1:0] r_data;
    wire r_end = read_ack & r_left == 8'd0;
    wire ar_ready = ~reading | r_end;
    assign read_request = reading & (~r_valid | r_ready);
    assign read_more = r_left != 8'd0;
    assign read_address = r_address;
    always @(posedge clk) begin
        if (r_ready) r_valid <= 1'b0;
        if (read_ack) begin
            r_valid <= 1'b1;
            r_last <= r_left == 8'd0;
            r_response <= read_error ? 2'd2 : 2'd0;
            r_data <= read_data;
            r_address <= r_address + BYTES;
            r_left <= r_left - 8'd1;
            if (r_end) reading <= 1'b0;
        end
        if (ar_valid & ar_ready) begin
            reading <= 1'b1;
            r_address <= ar_address;
            r_left <= ar_length;
        end
        if (rst) begin
            reading <= 1'b0;
            r_valid <= 1'b0;
        end
    end

    // write channels
    reg writing, b_valid, w_failed;
    reg [31:0] w_address;
    reg [7:0] w_left;
    reg [1:0] b_response;
    wire w_end = write_ack & w_left == 8'd0;
    wire aw_ready = ~writing | w_end;
    assign write_request = writing & w_valid & ~(w_left == 8'd0 & b_valid & ~b_ready);
    assign write_more = w_left != 8'd0;
    assign write_address = w_address;
    always @(posedge clk) begin
        if (b_ready) b_valid <= 1'b0;
        if (write_ack) begin
            w_failed <= (w_failed | write_error) & ~w_end;
            w_address <= w_address + BYTES;
            w_left <= w_left - 8'd1;
            if (w_end) begin
                writing <= 1'b0;
                b_valid <= 1'b1;
                b_response <= w_failed | write_error ? 2'd2 : 2'd0;
            end
        end
        if (aw_valid & aw_ready) begin
            writing <= 1'b1;
            w_address <= aw_address;
            w_left <= aw_length;
        end
        if (rst) begin
            writing <= 1'b0;
            b_valid <= 1'b0;
            w_failed <= 1'b0;
        end
    end

    // registers: AXI4-Lite, one access at a time
    wire l_arready, l_awready, l_wready, l_rvalid, l_bvalid;
    wire [1:0] l_rresp, l_bresp;
    reg active, l_arvalid, l_awvalid, l_wvalid;
    assign register_ack = active & (l_rvalid | l_bvalid);
    assign register_error = l_rvalid ? l_rresp[1] : l_bresp[1];
    always @(posedge clk) begin
        if (l_arready) l_arvalid <= 1'b0;
        if (l_awready) l_awvalid <= 1'b0;
        if (l_wready) l_wvalid <= 1'b0;
        if (register_ack) active <= 1'b0;
        if (register_request & ~active) begin
            active <= 1'b1;
            l_arvalid <= ~register_write;
            l_awvalid <= register_write;
            l_wvalid <= register_write;
        end
        if (rst) begin
            active <= 1'b0;
            l_arvalid <= 1'b0;
            l_awvalid <= 1'b0;
            l_wvalid <= 1'b0;
        end
    end

    npu accelerator (
        .clk(clk),
        .rst(rst),
        .irq(irq),
        .m_axi_araddr(ar_address),
        .m_axi_arlen(ar_length),
        .m_axi_arvalid(ar_valid),
        .m_axi_arready(ar_ready),
        .m_axi_rid(1'b0),
        .m_axi_rdata(r_data),
        .m_axi_rresp(r_response),
        .m_axi_rlast(r_last),
        .m_axi_rvalid(r_valid),
        .m_axi_rready(r_ready),
        .m_axi_awaddr(aw_address),
        .m_axi_awlen(aw_length),
        .m_axi_awvalid(aw_valid),
        .m_axi_awready(aw_ready),
        .m_axi_wdata(write_data),
        .m_axi_wstrb(write_strobe),
        .m_axi_wlast(w_last),
        .m_axi_wvalid(w_valid),
        .m_axi_wready(write_ack),
        .m_axi_bid(1'b0),
        .m_axi_bresp(b_response),
        .m_axi_bvalid(b_valid),
        .m_axi_bready(b_ready),
        .s_axil_awaddr(register_address[11:0]),
        .s_axil_awprot(3'd0),
        .s_axil_awvalid(l_awvalid),
        .s_axil_awready(l_awready),
        .s_axil_wdata(register_write_data),
        .s_axil_wstrb(4'hF),
        .s_axil_wvalid(l_wvalid),
        .s_axil_wready(l_wready),
        .s_axil_bresp(l_bresp),
        .s_axil_bvalid(l_bvalid),
        .s_axil_bready(1'b1),
        .s_axil_araddr(register_address[11:0]),
        .s_axil_arprot(3'd0),
        .s_axil_arvalid(l_arvalid),
        .s_axil_arready(l_arready),
        .s_axil_rdata(register_read_data),
        .s_axil_rresp(l_rresp),
        .s_axil_rvalid(l_rvalid),
        .s_axil_rready(1'b1)
    );
endmodule
