// SPDX-License-Identifier: GPL-2.0-only
/* PVH: ELF kernels with Xen's 32-bit physical entry point. */
#include <string.h>

#include "boot.h"
#include "elf_file.h"
#include "layout.h"
#include "util.h"

#define NOTE_NAME "Xen"
#define NOTE_PHYS32_ENTRY 18

/* struct hvm_start_info of Xen's public headers, version 1. */
#define START_MAGIC		0x336ec578
#define START_VERSION		4
#define START_NR_MODULES	12
#define START_MODLIST		16
#define START_CMDLINE		24
#define START_RSDP		32
#define START_MEMMAP		40
#define START_MEMMAP_ENTRIES	48
#define START_SIZE		56

#define MODULE_SIZE		32
#define MEMMAP_ENTRY_SIZE	24
#define MODLIST_ADDR		(LAYOUT_MMAP + 0x800)

/* Look through one note segment; 1 and *entry when it is there. */
static int find_note(const uint8_t *p, uint64_t len, uint64_t align,
		     uint64_t *entry)
{
	uint64_t pad = align == 8 ? 8 : 4;

	while (len >= 12) {
		uint64_t namesz = get_le32(p), descsz = get_le32(p + 4);
		uint64_t name = round_up(namesz, pad);
		uint64_t all = 12 + name + round_up(descsz, pad);

		if (12 + name > len || descsz > len - 12 - name)
			return 0;
		if (get_le32(p + 8) == NOTE_PHYS32_ENTRY &&
		    namesz == sizeof(NOTE_NAME) &&
		    !memcmp(p + 12, NOTE_NAME, sizeof(NOTE_NAME)) &&
		    (descsz == 4 || descsz == 8)) {
			p += 12 + name;
			*entry = descsz == 8 ? get_le64(p) : get_le32(p);
			return 1;
		}
		if (all >= len)
			return 0;
		p += all;
		len -= all;
	}
	return 0;
}

/* 1 with the entry point, 0 when there is none, or -EINVAL. */
static int find_entry(struct boot *b, const struct elf_file *elf,
		      uint64_t *entry)
{
	struct elf_segment seg;
	int rc;

	for (unsigned int i = 0; i < elf->phnum; i++) {
		rc = elf_segment(b, elf, i, &seg);
		if (rc)
			return rc;
		if (seg.type == ELF_PT_NOTE &&
		    find_note(b->kernel.data + seg.offset, seg.filesz,
			      seg.align, entry))
			return 1;
	}
	return 0;
}

int boot_pvh_probe(struct boot *b)
{
	struct elf_file elf;
	uint64_t entry;
	int rc;

	rc = elf_open(b, &elf);
	return rc ? rc : find_entry(b, &elf, &entry);
}

static void write_start_info(struct boot *b, uint64_t initrd)
{
	uint8_t *si = guest_mem_ptr(b->mem, LAYOUT_INFO, START_SIZE);
	uint8_t *mod = guest_mem_ptr(b->mem, MODLIST_ADDR, MODULE_SIZE);
	uint8_t *mm = guest_mem_ptr(b->mem, LAYOUT_MMAP,
				    E820_MAX * MEMMAP_ENTRY_SIZE);
	struct e820_entry map[E820_MAX];
	unsigned int n = guest_mem_e820(b->mem, map);

	memset(si, 0, START_SIZE);
	put_le32(si, START_MAGIC);
	put_le32(si + START_VERSION, 1);
	put_le64(si + START_CMDLINE, LAYOUT_CMDLINE);
	put_le64(si + START_RSDP, b->rsdp);
	put_le64(si + START_MEMMAP, LAYOUT_MMAP);
	put_le32(si + START_MEMMAP_ENTRIES, n);
	if (initrd) {
		put_le32(si + START_NR_MODULES, 1);
		put_le64(si + START_MODLIST, MODLIST_ADDR);
		memset(mod, 0, MODULE_SIZE);
		put_le64(mod, initrd);
		put_le64(mod + 8, b->initrd.size);
	}
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *e = mm + i * MEMMAP_ENTRY_SIZE;

		put_le64(e, map[i].addr);
		put_le64(e + 8, map[i].size);
		put_le32(e + 16, map[i].type);
		put_le32(e + 20, 0);
	}
}

int boot_pvh(struct boot *b)
{
	uint64_t entry = 0, end, initrd;
	struct elf_file elf;
	int rc;

	rc = elf_open(b, &elf);
	if (rc)
		return rc;
	rc = find_entry(b, &elf, &entry);
	if (rc < 0)
		return rc;
	if (entry > UINT32_MAX || !guest_mem_ptr(b->mem, entry, 1))
		return boot_fail(b, "%s: PVH entry note: entry point %#llx is not in guest memory below 4 GiB",
				 b->kernel.path, (unsigned long long)entry);
	rc = elf_load(b, &elf, &end);
	if (rc)
		return rc;
	rc = boot_place_cmdline(b, UINT32_MAX);
	if (rc)
		return rc;
	/* Leave the kernel room for what follows its image: brk, page tables */
	rc = boot_place_initrd(b, end + MIB, MEM_HOLE_START, &initrd);
	if (rc)
		return rc;
	write_start_info(b, initrd);

	b->format = elf.is64 ? "ELF64, PVH entry" : "ELF32, PVH entry";
	b->mode = BOOT_PROT32;
	b->rip = entry;
	b->rbx = LAYOUT_INFO;
	return 0;
}
