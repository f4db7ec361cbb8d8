/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest memory: one host mapping, laid out around the hole below 4 GiB. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_HOLE_START	0xc0000000ULL	/* 3 GiB */
#define MEM_HOLE_END	0x100000000ULL	/* 4 GiB */
#define MEM_MIN		(8ULL << 20)

enum mem_backend {
	MEM_AUTO,	/* emys when its node is there, or else anonymous */
	MEM_EMYS,	/* /dev/emys-mem: owned by the module */
	MEM_ANON,	/* anonymous memory of this process */
};

/* Guest physical [0, low) is at base, [4 GiB, 4 GiB + high) at base + low. */
struct guest_mem {
	uint8_t *base;
	uint64_t size;
	uint64_t low;
	uint64_t high;
	const char *backend;	/* "emys" or "anon" */
	bool shared;		/* a file's pages, not this process's */
	void *map;
	size_t map_len;
};

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
	uint64_t addr;
	uint64_t size;
	enum e820_type type;
};

#define E820_MAX 8

/*
 * Map @size bytes (a multiple of 4 KiB, at least MEM_MIN); no page is
 * reserved or touched. 0 or a negative errno, after a message.
 */
int guest_mem_create(struct guest_mem *mem, uint64_t size,
		     enum mem_backend want);
/* Let the host's KSM merge it. 0, or a negative errno after a message: -EINVAL, memory of emys's */
int guest_mem_mergeable(const struct guest_mem *mem);
void guest_mem_destroy(struct guest_mem *mem);

/* Host address of guest physical [gpa, gpa + len), NULL if not all of it RAM */
void *guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/*
 * Free [gpa, gpa + len), page-aligned RAM: it holds zeros when touched again.
 * 0, or a negative errno: what was there may be there still.
 */
int guest_mem_discard(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* Fill @map, sorted; returns the number of entries (at most E820_MAX). */
unsigned int guest_mem_e820(const struct guest_mem *mem,
			    struct e820_entry *map);

#endif
