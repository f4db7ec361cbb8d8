/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests made of pages in userspace, on which the deduplication core works */
#ifndef _EMYS_UNIT_DEDUP_WORLD_H
#define _EMYS_UNIT_DEDUP_WORLD_H

#include "../../kmod/ksm_cmd/core.h"

enum { W_ABSENT, W_PRIVATE, W_SHARED, W_ZERO };

struct wshared;

/* @sum: hash of what the page must hold. @late: written since it was last settled (emys) */
struct wpage {
	int state;
	bool busy, block, dirty, late;
	u8 *data;
	u64 sum;
	struct wshared *sh;
	struct dedup_item *item;
};

struct wguest {
	u32 n;
	struct wpage *page;
};

struct world {
	struct dedup_core core;
	u32 nr;
	struct wguest *guest;
	long frames;		/* pages allocated */
	long shared;		/* struct wshared that live */
	long items;
	long copies;		/* by writes */
	u32 trouble;		/* of 1000 calls, how many go wrong */
	u64 rng;
};

extern struct world *world;	/* the one in use */

void world_init(struct world *w, enum dedup_algorithm algorithm, u32 classes, u32 guests, u32 pages,
		u64 seed);
/* Checks that everything is given back. */
void world_free(struct world *w);
u32 world_random(struct world *w, u32 below);

/* What a guest does */
void world_fill(struct world *w, u32 g, u32 i, u64 content);	/* the page written whole */
void world_poke(struct world *w, u32 g, u32 i, u32 at, u64 value);	/* 8 bytes of it */
void world_zero(struct world *w, u32 g, u32 i);
void world_copy(struct world *w, u32 from, u32 i, u32 to, u32 j);
void world_punch(struct world *w, u32 g, u32 i);
const u8 *world_data(const struct world *w, u32 g, u32 i);	/* NULL: absent */

/* One page of the scanner's pass, as scan.c does it */
void world_visit(struct world *w, u32 g, u32 i);
void world_pass_begin(struct world *w);
void world_pass_end(struct world *w);
/* A whole pass; @meanwhile is called between pages */
void world_pass(struct world *w, void (*meanwhile)(struct world *w, u32 g, u32 i));
void world_forget(struct world *w);	/* drop every item */

/* Every page holds what it must, all counts agree. */
void world_check(struct world *w);
/* Pages in use by guests, less the frames they take. */
long world_saved(const struct world *w);

#endif
