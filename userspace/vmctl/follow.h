/* SPDX-License-Identifier: GPL-2.0-only */
/* Follow the targets that the module is told for this VM: its balloon does what they say. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdint.h>

struct family;
struct vm;

struct follow {
	struct family *f;	/* NULL: nothing to follow */
	int fd;			/* to poll, -1 without a family */
	uint32_t id;		/* the module's, of this VM */
};

/*
 * Find out what the module calls @vm, and listen. Without the module, with another device or
 * without a balloon there is nothing to follow, and that is no error.
 */
void follow_open(struct follow *follow, struct vm *vm);
void follow_close(struct follow *follow);

/* Take what came; after poll() found the descriptor readable. */
void follow_serve(struct follow *follow, struct vm *vm);

#endif
