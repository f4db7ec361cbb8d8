/* SPDX-License-Identifier: GPL-2.0-only */
/* ELF: program headers of either class, bounds checked. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "boot.h"

#define ELF_PT_LOAD 1
#define ELF_PT_NOTE 4

struct elf_file {
	bool is64;
	uint16_t machine;
	uint64_t entry;
	uint64_t phoff;
	unsigned int phnum;
	unsigned int phentsize;
};

struct elf_segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* Whether the file starts like an ELF file. */
bool elf_probe(const struct image *k);

/* Read the ELF header; 0, or -EINVAL with b->error naming the bad field. */
int elf_open(struct boot *b, struct elf_file *elf);

/* Program header @i, checked against the file's size; 0 or -EINVAL. */
int elf_segment(struct boot *b, const struct elf_file *elf, unsigned int i,
		struct elf_segment *seg);

/* Load all PT_LOAD segments at their physical addresses; *end is their end. */
int elf_load(struct boot *b, const struct elf_file *elf, uint64_t *end);

#endif
