/* Compilers call these two on their own, also in freestanding code. */
#include <stddef.h>

#include "bytes.h"

void *memcpy(void *target, const void *source, size_t count);
void *memset(void *target, int value, size_t count);

void *memcpy(void *target, const void *source, size_t count)
{
    copy_bytes(target, source, (int32_t)count);
    return target;
}

void *memset(void *target, int value, size_t count)
{
    fill_bytes(target, (int8_t)value, (int32_t)count);
    return target;
}
