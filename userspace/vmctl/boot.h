/* SPDX-License-Identifier: GPL-2.0-only */
/* Boot loaders: a kernel file becomes guest memory and first registers. */
#ifndef BOOT_H
#define BOOT_H

#include <stdint.h>

#include "memory.h"

/* A file in memory. data is NULL when no such file was given. */
struct image {
	const char *path;	/* for messages */
	const uint8_t *data;
	uint64_t size;
};

enum boot_mode {
	BOOT_PROT32,	/* flat 32-bit protected mode, paging off */
	BOOT_LONG,	/* 64-bit mode, first 4 GiB mapped one to one */
};

struct boot {
	/* In: owned by the caller, read only. */
	const struct guest_mem *mem;
	struct image kernel;
	struct image initrd;
	const char *cmdline;
	uint64_t rsdp;		/* guest address of the ACPI RSDP, 0 for none */

	/* Out: the first state of CPU 0. */
	const char *format;
	enum boot_mode mode;
	uint64_t rip, rax, rbx, rsi;

	/* Out, on failure: names the file and the field. */
	char error[320];
};

/*
 * Find out the kernel's format and load it. 0, or -EINVAL with b->error set;
 * guest memory then holds rubbish. No byte outside the images is read and
 * none outside guest RAM written, whatever the images hold.
 */
int boot_load(struct boot *b);

/* The three formats; each *_probe says whether the file claims to be one. */
int boot_bzimage_probe(const struct image *k);
int boot_bzimage(struct boot *b);
int boot_pvh_probe(struct boot *b);
int boot_pvh(struct boot *b);
int boot_multiboot_probe(const struct image *k);
int boot_multiboot(struct boot *b);

/* Set b->error; returns -EINVAL. */
int boot_fail(struct boot *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Copy into guest RAM; -EINVAL with b->error naming @what if it is no RAM. */
int boot_copy(struct boot *b, uint64_t gpa, const void *data, uint64_t len,
	      const char *what);

/*
 * Put the initrd as high as it goes in [floor, ceiling) below the memory hole;
 * *addr is 0 when there is none.
 */
int boot_place_initrd(struct boot *b, uint64_t floor, uint64_t ceiling,
		      uint64_t *addr);

/* Put the command line, at most @max bytes without its NUL, at its address. */
int boot_place_cmdline(struct boot *b, uint64_t max);

#endif
