/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-balloon: the guest gives memory back. Inflated and reported pages are
 * freed at once; what the guest has given is kept by page, so a guest that
 * lies about it changes its own figures only.
 *
 * Source: OASIS VIRTIO Version 1.2, chapter "Traditional Memory Balloon Device".
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio.h"

#define BALLOON_PAGE 4096ULL

/* Statistics by the specification's tags; unknown ones are passed over. */
#define BALLOON_STATS 16
extern const char *const virtio_balloon_stat_names[BALLOON_STATS];
enum {
	BALLOON_S_MEMFREE = 4,
	BALLOON_S_MEMTOT = 5,
	BALLOON_S_AVAIL = 6,
	BALLOON_S_CACHES = 7,
};

/* Of one moment. Sizes in bytes. */
struct balloon_info {
	bool driver;		/* the guest has a driver that runs */
	bool broken;		/* the guest broke the device */
	bool reporting;		/* it reports free pages */
	uint64_t size;		/* of the guest's memory */
	uint64_t target;	/* what the guest shall have */
	uint64_t actual;	/* what it has: size - what it gave */
	uint64_t claimed;	/* what it says it has */
	uint64_t inflated, deflated, reported;	/* ever */
	uint64_t kept;		/* given, but the host could not free it */
	uint64_t refused;	/* given, but not the guest's memory */
	uint64_t stat[BALLOON_STATS];
	uint32_t stat_valid;	/* by bit */
	uint64_t stat_ms;	/* CLOCK_MONOTONIC when they came; 0: never */
};

struct virtio_balloon {
	struct virtio_dev dev;
	void *wake_ctx;
	void (*wake)(void *ctx);	/* work is due */

	/* dev.lock covers these. */
	uint32_t num_pages;	/* asked for */
	uint32_t actual;	/* what the driver says it gave */
	uint32_t poison;
	uint64_t *given;	/* bit per page */
	uint64_t nr_pages, nr_given;
	uint64_t inflated, deflated, reported, kept, refused;	/* pages */
	bool stats_held;	/* the driver's buffer waits for a poll */
	uint16_t stats_head;
	uint64_t stat[BALLOON_STATS];
	uint32_t stat_valid;
	uint64_t stat_ms;
	struct virtio_chain chain;
};

/* @wake is called in vCPU threads with the device locked. 0 or -ENOMEM. */
int virtio_balloon_init(struct virtio_balloon *b, const struct guest_mem *mem,
			void (*wake)(void *ctx), void *ctx);
void virtio_balloon_destroy(struct virtio_balloon *b);

/* Serve the queues. By one thread, after each wake. */
void virtio_balloon_work(struct virtio_balloon *b);

/* The guest shall have @bytes, at most its size. -ERANGE above it. */
int virtio_balloon_target(struct virtio_balloon *b, uint64_t bytes);
/* Ask the guest for fresh statistics; they come by and by, or never. */
void virtio_balloon_poll(struct virtio_balloon *b);
void virtio_balloon_info(struct virtio_balloon *b, struct balloon_info *info);

#endif
