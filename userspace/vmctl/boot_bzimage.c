// SPDX-License-Identifier: GPL-2.0-only
/* bzImage: the Linux/x86 boot protocol, 64-bit and 32-bit entry. */
#include <asm/bootparam.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "boot.h"
#include "layout.h"
#include "util.h"

#define HDR(field) (offsetof(struct boot_params, hdr) + \
		    offsetof(struct setup_header, field))
#define MAGIC_OFFSET HDR(header)
#define MAGIC "HdrS"

#define PROTO_XLOAD	0x020c	/* xloadflags came with 2.12 */
#define PROTO_INITSIZE	0x020a	/* pref_address, init_size with 2.10 */
#define PROTO_CMDLINE	0x0206	/* cmdline_size; also 32-bit syssize */
#define LOADER_UNDEFINED 0xff

#define ENTRY_64_OFFSET	0x200
#define RNG_SEED_LEN	32

int boot_bzimage_probe(const struct image *k)
{
	return k->size >= MAGIC_OFFSET + 4 &&
	       !memcmp(k->data + MAGIC_OFFSET, MAGIC, 4);
}

/* What is read out of the header, with the protocol's defaults filled in. */
struct bz {
	struct setup_header hdr;
	uint64_t setup_len;	/* boot sector and setup code in the file */
	uint64_t payload_len;	/* protected-mode code in the file */
	uint64_t load;		/* where that goes */
	uint64_t run_end;	/* end of what the kernel needs to unpack */
};

static int read_header(struct boot *b, struct bz *bz)
{
	const struct image *k = &b->kernel;
	struct setup_header *h = &bz->hdr;
	uint64_t hdr_end;

	if (k->size < 0x400)
		return boot_fail(b, "%s: setup header cut short: the file has %llu bytes",
				 k->path, (unsigned long long)k->size);
	/* The jump at 0x200 spans the header: its offset is the length. */
	hdr_end = 0x202 + k->data[0x201];
	if (hdr_end > HDR(setup_sects) + sizeof(*h))
		hdr_end = HDR(setup_sects) + sizeof(*h);
	memset(h, 0, sizeof(*h));
	memcpy(h, k->data + HDR(setup_sects), hdr_end - HDR(setup_sects));

	if (h->boot_flag != 0xaa55)
		return boot_fail(b, "%s: boot_flag %#x: must be 0xaa55",
				 k->path, h->boot_flag);
	if (h->version < PROTO_CMDLINE)
		return boot_fail(b, "%s: boot protocol version %u.%02u: at least 2.06 is needed",
				 k->path, h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return boot_fail(b, "%s: loadflags %#x: a zImage that loads below 1 MiB is not supported",
				 k->path, h->loadflags);
	if (!h->setup_sects)
		h->setup_sects = 4;
	return 0;
}

static int check_sizes(struct boot *b, struct bz *bz)
{
	const struct image *k = &b->kernel;
	const struct setup_header *h = &bz->hdr;
	uint64_t init = 0, base;

	bz->setup_len = (h->setup_sects + 1) * 512ULL;
	bz->payload_len = h->syssize * 16ULL;
	if (!bz->payload_len)
		return boot_fail(b, "%s: syssize 0: no protected-mode code",
				 k->path);
	if (k->size < bz->setup_len)
		return boot_fail(b, "%s: setup_sects %u: setup code ends at %#llx, beyond the file's end (%#llx); is it cut short?",
				 k->path, h->setup_sects,
				 (unsigned long long)bz->setup_len,
				 (unsigned long long)k->size);
	if (bz->payload_len > k->size - bz->setup_len)
		return boot_fail(b, "%s: syssize %#x: kernel ends at %#llx, beyond the file's end (%#llx); is it cut short?",
				 k->path, h->syssize,
				 (unsigned long long)(bz->setup_len +
						      bz->payload_len),
				 (unsigned long long)k->size);

	bz->load = base = LAYOUT_HIGH;
	if (h->version >= PROTO_INITSIZE) {
		init = h->init_size;
		if (h->relocatable_kernel && h->pref_address >= LAYOUT_HIGH &&
		    h->pref_address < b->mem->low)
			bz->load = base = h->pref_address;
		else if (!h->relocatable_kernel && h->pref_address > base)
			base = h->pref_address;
	}
	if (base >= b->mem->low || init > b->mem->low - base ||
	    bz->payload_len > b->mem->low - bz->load)
		return boot_fail(b, "%s: init_size %#llx at %#llx: does not fit in %llu MiB of guest memory",
				 k->path, (unsigned long long)init,
				 (unsigned long long)base,
				 (unsigned long long)(b->mem->size / MIB));
	bz->run_end = base + init;
	if (bz->run_end < bz->load + bz->payload_len)
		bz->run_end = bz->load + bz->payload_len;
	return 0;
}

/* Seed the guest's random pool: its first boot stage has no other source. */
static void add_rng_seed(struct boot *b, struct boot_params *bp)
{
	uint8_t *node = guest_mem_ptr(b->mem, LAYOUT_SETUP_DATA,
				      sizeof(struct setup_data) + RNG_SEED_LEN);

	if (bp->hdr.version < 0x0209 ||
	    getrandom(node + sizeof(struct setup_data), RNG_SEED_LEN,
		      GRND_NONBLOCK) != RNG_SEED_LEN)
		return;
	put_le64(node, 0);
	put_le32(node + offsetof(struct setup_data, type), SETUP_RNG_SEED);
	put_le32(node + offsetof(struct setup_data, len), RNG_SEED_LEN);
	bp->hdr.setup_data = LAYOUT_SETUP_DATA;
}

static void fill_params(struct boot *b, const struct bz *bz, uint64_t initrd)
{
	struct boot_params *bp = guest_mem_ptr(b->mem, LAYOUT_ZERO_PAGE, 4096);
	struct e820_entry map[E820_MAX];
	unsigned int n;

	_Static_assert(sizeof(struct boot_params) == 4096, "zero page");
	memset(bp, 0, sizeof(*bp));
	bp->hdr = bz->hdr;
	bp->hdr.type_of_loader = LOADER_UNDEFINED;
	bp->hdr.code32_start = bz->load;
	bp->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	bp->hdr.ramdisk_image = initrd;
	bp->hdr.ramdisk_size = initrd ? b->initrd.size : 0;
	bp->hdr.setup_data = 0;
	bp->acpi_rsdp_addr = b->rsdp;
	add_rng_seed(b, bp);

	n = guest_mem_e820(b->mem, map);
	for (unsigned int i = 0; i < n; i++) {
		bp->e820_table[i].addr = map[i].addr;
		bp->e820_table[i].size = map[i].size;
		bp->e820_table[i].type = map[i].type;
	}
	bp->e820_entries = n;
}

int boot_bzimage(struct boot *b)
{
	struct bz bz = { 0 };
	uint64_t initrd, ceiling;
	int rc;

	rc = read_header(b, &bz);
	if (rc)
		return rc;
	rc = check_sizes(b, &bz);
	if (rc)
		return rc;
	rc = boot_place_cmdline(b, bz.hdr.cmdline_size ?: 255);
	if (rc)
		return rc;
	ceiling = bz.hdr.initrd_addr_max ?: 0x37ffffff;
	rc = boot_place_initrd(b, bz.run_end, ceiling + 1, &initrd);
	if (rc)
		return rc;
	rc = boot_copy(b, bz.load, b->kernel.data + bz.setup_len,
		       bz.payload_len, "syssize");
	if (rc)
		return rc;
	fill_params(b, &bz, initrd);

	b->rsi = LAYOUT_ZERO_PAGE;
	if (bz.hdr.version >= PROTO_XLOAD &&
	    bz.hdr.xloadflags & XLF_KERNEL_64) {
		b->format = "bzImage, 64-bit entry";
		b->mode = BOOT_LONG;
		b->rip = bz.load + ENTRY_64_OFFSET;
	} else {
		b->format = "bzImage, 32-bit entry";
		b->mode = BOOT_PROT32;
		b->rip = bz.load;
	}
	return 0;
}
