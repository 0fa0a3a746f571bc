/* Repeats a macro for every pixel of a block, so that accumulators are plain variables. */
#ifndef EACH_PIXEL_H
#define EACH_PIXEL_H

#define EACH_1(MACRO, ...) MACRO(0, __VA_ARGS__)
#define EACH_2(MACRO, ...) EACH_1(MACRO, __VA_ARGS__) MACRO(1, __VA_ARGS__)
#define EACH_3(MACRO, ...) EACH_2(MACRO, __VA_ARGS__) MACRO(2, __VA_ARGS__)
#define EACH_4(MACRO, ...) EACH_3(MACRO, __VA_ARGS__) MACRO(3, __VA_ARGS__)

#define DECLARE(p, unused) int32_t s##p##0 = 0, s##p##1 = 0, s##p##2 = 0, s##p##3 = 0;
#define STORE(p, acc)                                                                              \
    acc[4 * p] = s##p##0;                                                                          \
    acc[4 * p + 1] = s##p##1;                                                                      \
    acc[4 * p + 2] = s##p##2;                                                                      \
    acc[4 * p + 3] = s##p##3;

/* Ends an unrolled step: values of later steps are not loaded before it, and sums are not regrouped
 * across it. Either would need more registers than there are.
 */
#define HOLD(p, unused)                                                                            \
    __asm__ volatile("" : "+r"(s##p##0), "+r"(s##p##1), "+r"(s##p##2), "+r"(s##p##3) : : "memory");

#endif
