// SPDX-License-Identifier: GPL-2.0-only
/* Boot loaders: what the formats have in common. */
#include "boot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "elf_file.h"
#include "layout.h"
#include "util.h"

/* Selectors of the flat GDT: 0x10 code, 0x18 data, 0x20 TSS. */
static const uint64_t gdt_long[] = {
	0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00808b0000000067,
};

static const uint64_t gdt_prot32[] = {
	0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00008b0000000067,
};

#define PTE_TABLE 0x03		/* present, writable */
#define PTE_LARGE 0x83		/* and a 2 MiB page */

int boot_fail(struct boot *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->error, sizeof(b->error), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int boot_copy(struct boot *b, uint64_t gpa, const void *data, uint64_t len,
	      const char *what)
{
	void *to = guest_mem_ptr(b->mem, gpa, len);

	if (!to)
		return boot_fail(b, "%s: %s: %#llx bytes at %#llx do not fit in guest memory of %llu MiB",
				 b->kernel.path, what, (unsigned long long)len,
				 (unsigned long long)gpa,
				 (unsigned long long)(b->mem->size / MIB));
	if (len)
		memcpy(to, data, len);
	return 0;
}

int boot_place_initrd(struct boot *b, uint64_t floor, uint64_t ceiling,
		      uint64_t *addr)
{
	const struct image *rd = &b->initrd;
	uint64_t top = b->mem->low;

	*addr = 0;
	if (!rd->data)
		return 0;
	if (!rd->size)
		return boot_fail(b, "%s: initrd is empty", rd->path);
	if (top > ceiling)
		top = ceiling;
	floor = round_up(floor, 4096);
	if (top < floor || rd->size > top - floor)
		return boot_fail(b, "%s: initrd of %llu KiB does not fit between the kernel's end %#llx and %#llx; give more --memory",
				 rd->path,
				 (unsigned long long)(rd->size / KIB),
				 (unsigned long long)floor,
				 (unsigned long long)top);
	*addr = round_down(top - rd->size, 4096);
	if (*addr < floor)
		*addr = floor;
	memcpy(guest_mem_ptr(b->mem, *addr, rd->size), rd->data, rd->size);
	return 0;
}

int boot_place_cmdline(struct boot *b, uint64_t max)
{
	uint64_t len = strlen(b->cmdline);

	if (max > LAYOUT_CMDLINE_MAX - 1)
		max = LAYOUT_CMDLINE_MAX - 1;
	if (len > max)
		return boot_fail(b, "command line of %llu bytes: this kernel takes %llu",
				 (unsigned long long)len,
				 (unsigned long long)max);
	return boot_copy(b, LAYOUT_CMDLINE, b->cmdline, len + 1,
			 "command line");
}

/* Map the first 4 GiB one to one with 2 MiB pages. */
static void write_paging(struct boot *b)
{
	uint8_t *pml4 = guest_mem_ptr(b->mem, LAYOUT_PAGING, 6 * 4096);
	uint8_t *pdpt = pml4 + 4096, *pd = pdpt + 4096;

	memset(pml4, 0, 2 * 4096);
	put_le64(pml4, (LAYOUT_PAGING + 4096) | PTE_TABLE);
	for (unsigned int i = 0; i < 4; i++)
		put_le64(pdpt + 8 * i,
			 (LAYOUT_PAGING + (2 + i) * 4096) | PTE_TABLE);
	for (uint64_t i = 0; i < 4 * 512; i++)
		put_le64(pd + 8 * i, (i << 21) | PTE_LARGE);
}

static void write_gdt(struct boot *b)
{
	const uint64_t *gdt = b->mode == BOOT_LONG ? gdt_long : gdt_prot32;
	uint8_t *to = guest_mem_ptr(b->mem, LAYOUT_GDT, sizeof(gdt_long));

	for (size_t i = 0; i < ARRAY_SIZE(gdt_long); i++)
		put_le64(to + 8 * i, gdt[i]);
}

static int load_format(struct boot *b)
{
	const struct image *k = &b->kernel;
	int rc;

	if (!k->size)
		return boot_fail(b, "%s: the file is empty", k->path);
	if (boot_bzimage_probe(k))
		return boot_bzimage(b);
	if (elf_probe(k)) {
		rc = boot_pvh_probe(b);
		if (rc)
			return rc < 0 ? rc : boot_pvh(b);
		if (boot_multiboot_probe(k))
			return boot_multiboot(b);
		return boot_fail(b, "%s: ELF file with neither a PVH entry note (Xen, type 18) nor a multiboot header in its first 8 KiB",
				 k->path);
	}
	if (boot_multiboot_probe(k))
		return boot_multiboot(b);
	return boot_fail(b, "%s: not a kernel: no \"HdrS\" at offset 0x202 (bzImage), no ELF magic, no multiboot header",
			 k->path);
}

int boot_load(struct boot *b)
{
	int rc;

	b->error[0] = '\0';
	b->rip = b->rax = b->rbx = b->rsi = 0;
	rc = load_format(b);
	if (rc)
		return rc;
	write_gdt(b);
	if (b->mode == BOOT_LONG)
		write_paging(b);
	return 0;
}
