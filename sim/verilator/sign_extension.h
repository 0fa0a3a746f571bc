// Sign extension in one instruction.
//
// Verilator extends the sign of a value by masking, negating and combining it: three operations, and
// a compiler does not see through them. A multiplier array does little else, so here the same
// functions are written as the conversions that processors have instructions for. They are included
// before every generated file; arguments have no bits above `lbits`, as Verilator guarantees.
#pragma once

#include "verilated.h"

static inline int32_t sign_extended(int lbits, IData value) {
    if (lbits == 8) return static_cast<int8_t>(value);
    if (lbits == 16) return static_cast<int16_t>(value);
    return static_cast<int32_t>(value << (32 - lbits)) >> (32 - lbits);
}

static inline int64_t sign_extended_wide(int lbits, QData value) {
    if (lbits == 32) return static_cast<int32_t>(value);
    return static_cast<int64_t>(value << (64 - lbits)) >> (64 - lbits);
}

static inline IData multiplied(int lbits, IData a, IData b) {
    return static_cast<IData>(sign_extended(lbits, a) * sign_extended(lbits, b));
}

static inline QData multiplied_wide(int lbits, QData a, QData b) {
    return static_cast<QData>(sign_extended_wide(lbits, a)) *
           static_cast<QData>(sign_extended_wide(lbits, b));
}

#define VL_EXTENDS_II(obits, lbits, value) static_cast<IData>(sign_extended(lbits, value))
#define VL_EXTENDS_QI(obits, lbits, value) static_cast<QData>(sign_extended_wide(lbits, value))
#define VL_EXTENDS_QQ(obits, lbits, value) static_cast<QData>(sign_extended_wide(lbits, value))
#define VL_MULS_III(lbits, a, b) multiplied(lbits, a, b)
#define VL_MULS_QQQ(lbits, a, b) multiplied_wide(lbits, a, b)
#define VL_GTS_III(lbits, a, b) (sign_extended(lbits, a) > sign_extended(lbits, b))
#define VL_GTES_III(lbits, a, b) (sign_extended(lbits, a) >= sign_extended(lbits, b))
#define VL_LTS_III(lbits, a, b) (sign_extended(lbits, a) < sign_extended(lbits, b))
#define VL_LTES_III(lbits, a, b) (sign_extended(lbits, a) <= sign_extended(lbits, b))
