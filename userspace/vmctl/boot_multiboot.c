// SPDX-License-Identifier: GPL-2.0-only
/* Multiboot version 1: ELF or flat kernels with its header. */
#include <string.h>

#include "boot.h"
#include "elf_file.h"
#include "layout.h"
#include "util.h"

#define HEADER_MAGIC	0x1badb002
#define BOOT_MAGIC	0x2badb002
#define HEADER_SEARCH	8192

/* Header flags. */
#define WANT_ALIGN	(1u << 0)
#define WANT_MEMORY	(1u << 1)
#define WANT_VIDEO	(1u << 2)
#define HAS_ADDRESSES	(1u << 16)
#define MANDATORY	0xffffu

/* Information structure: flags and offsets. */
#define INFO_MEMORY	(1u << 0)
#define INFO_CMDLINE	(1u << 2)
#define INFO_MODS	(1u << 3)
#define INFO_MMAP	(1u << 6)
#define INFO_LOADER	(1u << 9)

#define MBI_MEM_LOWER	4
#define MBI_MEM_UPPER	8
#define MBI_CMDLINE	16
#define MBI_MODS_COUNT	20
#define MBI_MODS_ADDR	24
#define MBI_MMAP_LEN	44
#define MBI_MMAP_ADDR	48
#define MBI_LOADER	64
#define MBI_SIZE	120

#define MMAP_ENTRY	24
#define MOD_ADDR	(LAYOUT_MMAP + 0x800)
#define MOD_SIZE	16
#define LOADER_ADDR	(LAYOUT_MMAP + 0xc00)

static const char loader_name[] = "vmctl";

/* Offset of the header in the file, or -1. */
static int64_t header_find(const struct image *k)
{
	uint64_t limit = k->size < HEADER_SEARCH ? k->size : HEADER_SEARCH;

	for (uint64_t off = 0; off + 12 <= limit; off += 4) {
		const uint8_t *h = k->data + off;

		if (get_le32(h) == HEADER_MAGIC &&
		    get_le32(h) + get_le32(h + 4) + get_le32(h + 8) == 0)
			return off;
	}
	return -1;
}

int boot_multiboot_probe(const struct image *k)
{
	return header_find(k) >= 0;
}

/* Load by the addresses in the header itself; *end is the image's end. */
static int load_flat(struct boot *b, uint64_t off, uint64_t *entry,
		     uint64_t *end)
{
	const struct image *k = &b->kernel;
	uint64_t header_addr, load_addr, load_end, bss_end, from, len;
	const uint8_t *h = k->data + off;

	if (off + 32 > k->size)
		return boot_fail(b, "%s: multiboot header at %#llx: address fields cut short",
				 k->path, (unsigned long long)off);
	header_addr = get_le32(h + 12);
	load_addr = get_le32(h + 16);
	load_end = get_le32(h + 20);
	bss_end = get_le32(h + 24);
	*entry = get_le32(h + 28);

	if (load_addr > header_addr || header_addr - load_addr > off)
		return boot_fail(b, "%s: multiboot load_addr %#llx does not match header_addr %#llx at file offset %#llx",
				 k->path, (unsigned long long)load_addr,
				 (unsigned long long)header_addr,
				 (unsigned long long)off);
	from = off - (header_addr - load_addr);
	len = load_end ? load_end - load_addr : k->size - from;
	if (load_end && load_end < load_addr)
		return boot_fail(b, "%s: multiboot load_end_addr %#llx is below load_addr %#llx",
				 k->path, (unsigned long long)load_end,
				 (unsigned long long)load_addr);
	if (len > k->size - from)
		return boot_fail(b, "%s: multiboot load_end_addr %#llx: beyond the file's end; is it cut short?",
				 k->path, (unsigned long long)load_end);
	*end = load_addr + len;
	if (bss_end > *end)
		*end = bss_end;
	if (load_addr < LAYOUT_HIGH ||
	    !guest_mem_ptr(b->mem, load_addr, *end - load_addr))
		return boot_fail(b, "%s: multiboot load_addr %#llx to %#llx is not in guest memory above 1 MiB",
				 k->path, (unsigned long long)load_addr,
				 (unsigned long long)*end);
	return boot_copy(b, load_addr, k->data + from, len,
			 "multiboot load_addr");
}

/* An entry point given as a virtual address is moved to the physical one. */
static int entry_physical(struct boot *b, const struct elf_file *elf,
			  uint64_t *entry)
{
	struct elf_segment seg;
	int rc;

	for (unsigned int i = 0; i < elf->phnum; i++) {
		rc = elf_segment(b, elf, i, &seg);
		if (rc)
			return rc;
		if (seg.type == ELF_PT_LOAD &&
		    elf->entry - seg.vaddr < seg.memsz) {
			*entry = elf->entry - seg.vaddr + seg.paddr;
			return 0;
		}
	}
	*entry = elf->entry;
	return 0;
}

static int load_elf(struct boot *b, uint64_t *entry, uint64_t *end)
{
	struct elf_file elf;
	int rc;

	if (!elf_probe(&b->kernel))
		return boot_fail(b, "%s: multiboot header without addresses (flags bit 16) in a file that is not ELF",
				 b->kernel.path);
	rc = elf_open(b, &elf);
	if (rc)
		return rc;
	rc = elf_load(b, &elf, end);
	if (rc)
		return rc;
	return entry_physical(b, &elf, entry);
}

static void write_info(struct boot *b, uint64_t initrd)
{
	uint8_t *mbi = guest_mem_ptr(b->mem, LAYOUT_INFO, MBI_SIZE);
	uint8_t *mm = guest_mem_ptr(b->mem, LAYOUT_MMAP,
				    E820_MAX * MMAP_ENTRY);
	uint8_t *mod = guest_mem_ptr(b->mem, MOD_ADDR, MOD_SIZE);
	uint8_t *name = guest_mem_ptr(b->mem, LOADER_ADDR, sizeof(loader_name));
	uint32_t flags = INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER;
	struct e820_entry map[E820_MAX];
	unsigned int n = guest_mem_e820(b->mem, map);

	memset(mbi, 0, MBI_SIZE);
	put_le32(mbi + MBI_MEM_LOWER, LAYOUT_EBDA / KIB);
	put_le32(mbi + MBI_MEM_UPPER, (b->mem->low - LAYOUT_HIGH) / KIB);
	put_le32(mbi + MBI_CMDLINE, LAYOUT_CMDLINE);
	put_le32(mbi + MBI_MMAP_LEN, n * MMAP_ENTRY);
	put_le32(mbi + MBI_MMAP_ADDR, LAYOUT_MMAP);
	put_le32(mbi + MBI_LOADER, LOADER_ADDR);
	memcpy(name, loader_name, sizeof(loader_name));
	if (initrd) {
		flags |= INFO_MODS;
		put_le32(mbi + MBI_MODS_COUNT, 1);
		put_le32(mbi + MBI_MODS_ADDR, MOD_ADDR);
		put_le32(mod, initrd);
		put_le32(mod + 4, initrd + b->initrd.size);
		put_le64(mod + 8, 0);
	}
	put_le32(mbi, flags);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *e = mm + i * MMAP_ENTRY;

		put_le32(e, MMAP_ENTRY - 4);
		put_le64(e + 4, map[i].addr);
		put_le64(e + 12, map[i].size);
		put_le32(e + 20, map[i].type);
	}
}

int boot_multiboot(struct boot *b)
{
	const struct image *k = &b->kernel;
	uint64_t off = header_find(k), entry = 0, end = 0, initrd;
	uint32_t flags = get_le32(k->data + off + 4);
	int rc;

	/* There is no screen: WANT_VIDEO cannot be met, but guests cope. */
	if (flags & MANDATORY & ~(WANT_ALIGN | WANT_MEMORY | WANT_VIDEO))
		return boot_fail(b, "%s: multiboot flags %#x: asks for a feature that is not there",
				 k->path, flags);
	if (flags & HAS_ADDRESSES)
		rc = load_flat(b, off, &entry, &end);
	else
		rc = load_elf(b, &entry, &end);
	if (rc)
		return rc;
	if (entry > UINT32_MAX || !guest_mem_ptr(b->mem, entry, 1))
		return boot_fail(b, "%s: multiboot entry point %#llx is not in guest memory below 4 GiB",
				 k->path, (unsigned long long)entry);
	rc = boot_place_cmdline(b, UINT32_MAX);
	if (rc)
		return rc;
	rc = boot_place_initrd(b, end, MEM_HOLE_START, &initrd);
	if (rc)
		return rc;
	write_info(b, initrd);

	b->format = flags & HAS_ADDRESSES ? "multiboot, flat" : "multiboot, ELF";
	b->mode = BOOT_PROT32;
	b->rip = entry;
	b->rax = BOOT_MAGIC;
	b->rbx = LAYOUT_INFO;
	return 0;
}
