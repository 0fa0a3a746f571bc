// One memory of the bench SoC: an array with a single port, shared by four bus managers.
//
// A manager holds `request` with address and data until `ack`, which comes in the cycle in which
// the access happens; read data is valid in that cycle. The first beat of a transaction takes
// `wait_states` cycles more than that, further beats (announced by `more`) none. A manager that
// makes a pause inside a burst may lose the port and then pays the wait states again. Among several
// requests the manager after the last one served wins (rotating priority).
//
// Managers 0 and 1 (instruction, data) are 32 bits wide, 2 and 3 (the NPU's reads and writes)
// 32 * BUS_WORDS bits. Only 1 and 3 write.
module memory #(
    parameter WORDS = 1024,  // a power of two
    parameter BUS_WORDS = 2
) (
    input clk,
    input rst,
    input [7:0] wait_states,
    input [3:0] request,
    input [3:0] more,
    output reg [3:0] ack,
    input [31:0] address_0,
    input [31:0] address_1,
    input [31:0] address_2,
    input [31:0] address_3,
    input write_1,
    input [3:0] strobe_1,
    input [31:0] write_data_1,
    input [4*BUS_WORDS-1:0] strobe_3,
    input [32*BUS_WORDS-1:0] write_data_3,
    output [31:0] read_data_0,
    output [31:0] read_data_1,
    output reg [32*BUS_WORDS-1:0] read_data_2
);
    localparam BITS = $clog2(WORDS);

    // the harness loads programs and reads results here
    reg [31:0] words[0:WORDS-1]  /*verilator public_flat_rw*/;

    reg [1:0] last;
    reg locked, in_burst;
    reg [7:0] waited;

    wire any = |request;
    wire kept = locked & request[last];
    reg [1:0] granted;
    always @* begin
        granted = last;
        if (!kept) begin
            if (request[last+2'd3]) granted = last + 2'd3;
            if (request[last+2'd2]) granted = last + 2'd2;
            if (request[last+2'd1]) granted = last + 2'd1;
        end
    end
    wire [7:0] elapsed = kept ? waited : 8'd0;
    wire done = any & ((kept & in_burst) | elapsed >= wait_states);
    always @* begin
        ack = 4'b0;
        ack[granted] = done;
    end

    wire [BITS-1:0] index_0 = address_0[BITS+1:2];
    wire [BITS-1:0] index_1 = address_1[BITS+1:2];
    wire [BITS-1:0] index_2 = address_2[BITS+1:2];
    wire [BITS-1:0] index_3 = address_3[BITS+1:2];
    assign read_data_0 = words[index_0];
    assign read_data_1 = words[index_1];
    integer i;
    always @* begin
        for (i = 0; i < BUS_WORDS; i = i + 1) read_data_2[32*i+:32] = words[index_2+i[BITS-1:0]];
    end

    wire [31:0] mask_1 = {
        {8{strobe_1[3]}}, {8{strobe_1[2]}}, {8{strobe_1[1]}}, {8{strobe_1[0]}}
    };
    integer j, b;
    always @(posedge clk) begin
        if (rst) begin
            last <= 2'd0;
            locked <= 1'b0;
            in_burst <= 1'b0;
            waited <= 8'd0;
        end else begin
            locked <= any & (~done | more[granted]);
            in_burst <= done & more[granted];
            waited <= done ? 8'd0 : elapsed + 8'd1;
            if (any) last <= granted;
        end
        if (ack[1] & write_1)
            words[index_1] <= (words[index_1] & ~mask_1) | (write_data_1 & mask_1);
        if (ack[3])
            for (j = 0; j < BUS_WORDS; j = j + 1)
                for (b = 0; b < 4; b = b + 1)
                    if (strobe_3[4*j+b])
                        words[index_3+j[BITS-1:0]][8*b+:8] <= write_data_3[32*j+8*b+:8];
    end
endmodule
