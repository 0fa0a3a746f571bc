#include "bytes.h"

typedef uint32_t __attribute__((may_alias)) word;

#define WORDS_AT_ONCE 4

void copy_bytes(void *target, const void *source, int32_t count)
{
    int8_t *to = target;
    const int8_t *from = source;

    if ((((uintptr_t)to | (uintptr_t)from) & 3) == 0) {
        for (; count >= 4 * WORDS_AT_ONCE; count -= 4 * WORDS_AT_ONCE) {
            const word *w = (const word *)from;
            const word a = w[0], b = w[1], c = w[2], d = w[3];
            word *v = (word *)to;
            v[0] = a;
            v[1] = b;
            v[2] = c;
            v[3] = d;
            to += 4 * WORDS_AT_ONCE;
            from += 4 * WORDS_AT_ONCE;
        }
        for (; count >= 4; count -= 4) {
            *(word *)to = *(const word *)from;
            to += 4;
            from += 4;
        }
    }
    while (count-- > 0)
        *to++ = *from++;
}

void fill_bytes(void *target, int8_t value, int32_t count)
{
    int8_t *to = target;
    const word pattern = 0x01010101u * (uint8_t)value;

    while (count > 0 && ((uintptr_t)to & 3) != 0) {
        *to++ = value;
        count--;
    }
    for (; count >= 4; count -= 4) {
        *(word *)to = pattern;
        to += 4;
    }
    while (count-- > 0)
        *to++ = value;
}
