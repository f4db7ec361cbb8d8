/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fuzz targets share: input bytes and a check that aborts */
#ifndef _EMYS_FUZZ_H
#define _EMYS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Always on; says what did not hold, with printf arguments */
#define check(cond, ...) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);\
		fprintf(stderr, __VA_ARGS__);				\
		fprintf(stderr, "\n");					\
		abort();						\
	}								\
} while (0)

/* The input, byte by byte; zeros after its end */
struct input {
	const uint8_t *data;
	size_t size, pos;
};

static inline unsigned long long take(struct input *in, int bytes)
{
	unsigned long long v = 0;

	while (bytes--)
		v = v << 8 | (in->pos < in->size ? in->data[in->pos++] : 0);
	return v;
}

#endif
