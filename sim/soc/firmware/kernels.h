/* The operators. Each takes its parameters from the image and is bit-exact with TFLM.
 *
 * A kernel set is one file kernels_*.c with all functions of the first group; the second group is
 * the same in every set.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "image_format.h"

void conv_2d(const struct convolution *p);
void depthwise_conv_2d(const struct depthwise *p);
void fully_connected(const struct fully_connected *p);
void add(const struct elementwise *p);
void sub(const struct elementwise *p);
void mul(const struct elementwise *p);
void average_pool_2d(const struct pool *p);
void max_pool_2d(const struct pool *p);
void mean(const struct mean *p);
void requantize(const struct requantize *p);

void maximum(const struct elementwise *p);
void minimum(const struct elementwise *p);
void softmax(const struct softmax *p);
void apply_table(const struct table *p);
void copy(const struct copy *p);
void fill(const struct fill *p);

#endif
