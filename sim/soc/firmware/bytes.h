/* Moving bytes; regions do not overlap. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>

void copy_bytes(void *target, const void *source, int32_t count);
void fill_bytes(void *target, int8_t value, int32_t count);

#endif
