// A requantizer written by hand, to stand in the NPU in place of the project's own:
//
//     npu verify --block requantizer --rtl examples/my_requantizer.v
//
// One lane: clamp(requantize(value + bias, multiplier, shift) + zero_point), as TFLM's
// MultiplyByQuantizedMultiplier does it. What each port means: rtl/requantizer.py. Value and bias
// come doubled; a value takes twelve cycles, stage s works when stages[s] is set.
module block_requantizer (
    input clk,
    input rst,
    input [11:0] stages,
    input signed [32:0] value,
    input signed [32:0] bias,
    input [31:0] multiplier,
    input signed [7:0] shift,
    input signed [7:0] zero_point,
    input signed [7:0] minimum,
    input signed [7:0] maximum,
    output reg signed [10:0] rescaled,
    output reg saturates,
    output reg negative,
    output reg signed [7:0] \output
);
    // 0, 1: the sum of 32 bits
    reg signed [32:0] value0, bias0;
    reg signed [31:0] sum1;
    // what goes along with a value as far as it is needed
    reg [30:0] multiplier0, multiplier1, multiplier2;
    reg signed [7:0] shift0, shift1, shift2, shift3, shift4;
    wire signed [32:0] doubled = value0 + bias0;
    always @(posedge clk) begin
        if (stages[0]) {value0, bias0, multiplier0, shift0} <= {value, bias, multiplier[30:0], shift};
        if (stages[1]) {sum1, multiplier1, shift1} <= {doubled[32:1], multiplier0, shift0};
    end

    // 2 to 4: shift to the left, multiply, round to the upper half
    reg signed [31:0] shifted2, high4;
    reg signed [63:0] product3;
    wire signed [63:0] nudged = product3 + (64'sd1 << 30);
    always @(posedge clk) begin
        if (stages[2]) begin
            shifted2 <= shift1 > 0 ? sum1 << shift1[2:0] : sum1;
            {multiplier2, shift2} <= {multiplier1, shift1};
        end
        if (stages[3]) begin
            product3 <= shifted2 * $signed({1'b0, multiplier2});
            shift3 <= shift2;
        end
        if (stages[4]) {high4, shift4} <= {nudged[62:31], shift3};
    end

    // 5: a shift to the right that rounds, ties away from zero
    wire [4:0] right = shift4 < 0 ? -shift4 : 5'd0;
    wire [31:0] mask = (32'd1 << right) - 32'd1;
    wire [31:0] threshold = (mask >> 1) + {31'd0, high4[31]};
    reg signed [31:0] result5, result6, result7;
    always @(posedge clk) begin
        if (stages[5]) result5 <= (high4 >>> right) + $signed({31'd0, (high4 & mask) > threshold});
        if (stages[6]) result6 <= result5;
        if (stages[7]) result7 <= result6;
        if (stages[8]) begin
            rescaled <= result7[10:0];
            saturates <= result7 < -512 || result7 > 511;
            negative <= result7[31];
        end
    end

    // 9 to 11: zero point and clamp
    reg signed [11:0] total9, total10;
    reg saturates9, negative9, below10, above10;
    always @(posedge clk) begin
        if (stages[9]) begin
            total9 <= rescaled + zero_point;
            {saturates9, negative9} <= {saturates, negative};
        end
        if (stages[10]) begin
            total10 <= total9;
            below10 <= saturates9 ? negative9 : total9 < minimum;
            above10 <= saturates9 ? ~negative9 : total9 > maximum;
        end
        if (stages[11]) \output <= below10 ? minimum : above10 ? maximum : total10[7:0];
    end
endmodule
