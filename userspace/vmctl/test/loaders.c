// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the boot loaders, the memory layout and the ACPI tables. */
#include <stdlib.h>

#include "acpi.h"
#include "images.h"
#include "layout.h"
#include "tap.h"

#define MEM_SIZE (64 * MIB)

static struct guest_mem mem;
static uint8_t img[IMG_MAX];

/* Load @len bytes of img from a heap copy, so that ASan sees overruns. */
static int load(struct boot *b, uint64_t len, uint64_t initrd_len,
		const char *cmdline)
{
	uint8_t *copy = malloc(len ? len : 1);
	uint8_t *rd = initrd_len ? malloc(initrd_len) : NULL;
	int rc;

	memcpy(copy, img, len);
	if (rd)
		memset(rd, 0x5a, initrd_len);
	memset(b, 0, sizeof(*b));
	b->mem = &mem;
	b->kernel = (struct image){ "kernel", copy, len };
	b->initrd = (struct image){ "initrd", rd, initrd_len };
	b->cmdline = cmdline;
	b->rsdp = 0xe0000;
	rc = boot_load(b);
	free(copy);
	free(rd);
	return rc;
}

/* The image as it is must be refused with @word in the message. */
static void refused(uint64_t len, const char *word, const char *what)
{
	struct boot b;
	int rc = load(&b, len, 0, "");

	ok(rc < 0 && strstr(b.error, word) && strstr(b.error, "kernel"),
	   "%s is refused: %s", what, rc ? b.error : "it was loaded");
}

static const uint8_t *at(uint64_t gpa)
{
	return guest_mem_ptr(&mem, gpa, 1);
}

static void test_bzimage(void)
{
	uint64_t len = make_bzimage(img), rd;
	const uint8_t *zp = at(LAYOUT_ZERO_PAGE);
	struct boot b;

	ok(!load(&b, len, 10000, "console=ttyS0") && b.mode == BOOT_LONG &&
	   b.rip == 0x1000200 && b.rsi == LAYOUT_ZERO_PAGE,
	   "bzImage: 64-bit entry at pref_address + 0x200");
	ok(*at(0x1000000) == 0xc3 && *at(0x1000000 + BZ_PAYLOAD_LEN - 1) == 0xc3,
	   "bzImage: payload is at pref_address");
	ok(!strcmp((const char *)at(get_le32(zp + 0x228)), "console=ttyS0"),
	   "bzImage: cmd_line_ptr");
	rd = get_le32(zp + 0x218);
	ok(get_le32(zp + 0x21c) == 10000 && rd % 4096 == 0 &&
	   rd + 10000 <= MEM_SIZE && *at(rd) == 0x5a && *at(rd + 9999) == 0x5a,
	   "bzImage: initrd at %#llx", (unsigned long long)rd);
	ok(zp[0x1e8] == 5 && get_le64(zp + 0x2d0 + 3 * 20) == LAYOUT_HIGH &&
	   get_le64(zp + 0x2d0 + 3 * 20 + 8) == MEM_SIZE - LAYOUT_HIGH,
	   "bzImage: E820 map");
	ok(get_le64(zp + 0x70) == 0xe0000, "bzImage: acpi_rsdp_addr");
	ok(zp[0x210] == 0xff && zp[0x1ef] == 0,
	   "bzImage: type_of_loader set, sentinel clear");
	ok(get_le64(at(LAYOUT_PAGING)) == (LAYOUT_PAGING + 4096) + 3 &&
	   get_le64(at(LAYOUT_PAGING + 2 * 4096 + 8)) == 0x200083,
	   "bzImage: identity map");

	img[BZ_XLOADFLAGS] = 0;
	ok(!load(&b, len, 0, "") && b.mode == BOOT_PROT32 &&
	   b.rip == 0x1000000 && b.rsi == LAYOUT_ZERO_PAGE,
	   "bzImage without XLF_KERNEL_64: 32-bit entry");
	ok(get_le32(zp + 0x218) == 0, "bzImage: no initrd, no ramdisk_image");
	img[BZ_RELOCATABLE] = 0;
	ok(!load(&b, len, 0, "") && b.rip == LAYOUT_HIGH,
	   "bzImage not relocatable: loaded at 1 MiB");

	make_bzimage(img);
	refused(0, "empty", "an empty file");
	refused(0x300, "setup header", "bzImage cut in the header");
	refused(BZ_PAYLOAD - 1, "setup_sects", "bzImage cut in the setup code");
	refused(len - 1, "syssize", "bzImage one byte short");
	put_le16(img + BZ_BOOT_FLAG, 0);
	refused(len, "boot_flag", "bad boot_flag");
	make_bzimage(img);
	put_le16(img + BZ_VERSION, 0x200);
	refused(len, "version 2.00", "an old protocol");
	make_bzimage(img);
	img[BZ_LOADFLAGS] = 0;
	refused(len, "loadflags", "a zImage");
	make_bzimage(img);
	put_le32(img + BZ_SYSSIZE, 0);
	refused(len, "syssize", "syssize 0");
	make_bzimage(img);
	put_le32(img + BZ_INIT_SIZE, 0x80000000);
	refused(len, "init_size", "init_size beyond memory");
	make_bzimage(img);
	put_le32(img + BZ_CMDLINE_SIZE, 4);
	ok(load(&b, len, 0, "12345") && strstr(b.error, "command line"),
	   "a command line too long is refused: %s", b.error);
	ok(!load(&b, len, 0, "1234"), "one that just fits is taken");
	make_bzimage(img);
	ok(load(&b, len, MEM_SIZE, "") && strstr(b.error, "initrd"),
	   "an initrd too large is refused: %s", b.error);
	memcpy(img + BZ_MAGIC, "Hdr", 4);
	refused(len, "not a kernel", "a file of no known format");
}

static void test_pvh(void)
{
	uint64_t len = make_pvh(img);
	const uint8_t *si = at(LAYOUT_INFO);
	struct boot b;

	ok(!load(&b, len, 5000, "quiet") && b.mode == BOOT_PROT32 &&
	   b.rip == ELF_LOAD_AT + 0x40 && b.rbx == LAYOUT_INFO,
	   "PVH: entry from the note");
	ok(get_le32(si) == 0x336ec578 && get_le32(si + 4) == 1 &&
	   get_le32(si + 12) == 1 && get_le64(si + 32) == 0xe0000,
	   "PVH: start info");
	ok(!strcmp((const char *)at(get_le64(si + 24)), "quiet"),
	   "PVH: command line");
	ok(get_le64(at(get_le64(si + 16)) + 8) == 5000 &&
	   *at(get_le64(at(get_le64(si + 16)))) == 0x5a, "PVH: module");
	ok(get_le32(si + 48) == 5 &&
	   get_le64(at(get_le64(si + 40)) + 3 * 24) == LAYOUT_HIGH,
	   "PVH: memory map");
	ok(*at(ELF_LOAD_AT) == 0xc3, "PVH: segment at p_paddr");

	refused(len - 1, "p_filesz", "vmlinux one byte short");
	refused(100, "e_phoff", "vmlinux cut in the program headers");
	refused(60, "header cut", "vmlinux cut in the ELF header");
	img[EI_CLASS] = 7;
	refused(len, "EI_CLASS", "bad class");
	make_pvh(img);
	img[EI_DATA] = ELFDATA2MSB;
	refused(len, "EI_DATA", "big-endian");
	make_pvh(img);
	put_le16(img + offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
	refused(len, "e_machine", "another architecture");
	make_pvh(img);
	put_le16(img + offsetof(Elf64_Ehdr, e_phnum), 0);
	refused(len, "e_phnum", "no program headers");
	make_pvh(img);
	put_le64(img + offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8);
	refused(len, "e_phoff", "e_phoff near 2^64");
	make_pvh(img);
	put_le64(img + ELF_PHDR(0) + offsetof(Elf64_Phdr, p_memsz), 8);
	refused(len, "p_memsz", "p_memsz below p_filesz");
	make_pvh(img);
	put_le64(img + ELF_PHDR(0) + offsetof(Elf64_Phdr, p_paddr), MEM_SIZE);
	refused(len, "p_paddr", "segment beyond memory");
	put_le64(img + ELF_PHDR(0) + offsetof(Elf64_Phdr, p_paddr),
		 UINT64_MAX - 4096);
	refused(len, "p_paddr", "segment that wraps around");
	put_le64(img + ELF_PHDR(0) + offsetof(Elf64_Phdr, p_paddr), 0x1000);
	refused(len, "p_paddr", "segment over the boot data");
	make_pvh(img);
	put_le64(img + ELF_NOTE + 36, 1ULL << 40);
	refused(len, "entry point", "entry beyond 4 GiB");
	put_le32(img + ELF_NOTE + 24, 0xfffffff0);
	refused(len, "neither", "note with a bogus descsz");
}

static void test_multiboot(void)
{
	uint64_t len = make_multiboot(img);
	const uint8_t *mbi = at(LAYOUT_INFO);
	const uint8_t *mod;
	struct boot b;

	ok(!load(&b, len, 777, "args") && b.mode == BOOT_PROT32 &&
	   b.rip == ELF_LOAD_AT + 0x20 && b.rax == 0x2badb002 &&
	   b.rbx == LAYOUT_INFO, "multiboot ELF: entry moved to p_paddr");
	ok((get_le32(mbi) & 0x4d) == 0x4d && get_le32(mbi + 4) == 639 &&
	   get_le32(mbi + 8) == (MEM_SIZE - LAYOUT_HIGH) / 1024,
	   "multiboot: memory sizes");
	ok(!strcmp((const char *)at(get_le32(mbi + 16)), "args"),
	   "multiboot: command line");
	mod = at(get_le32(mbi + 24));
	ok(get_le32(mbi + 20) == 1 && get_le32(mod + 4) - get_le32(mod) == 777 &&
	   *at(get_le32(mod)) == 0x5a, "multiboot: module");
	ok(get_le32(at(get_le32(mbi + 48))) == 20 &&
	   get_le32(mbi + 44) == 5 * 24, "multiboot: memory map");

	put_le32(img + ELF_CODE + 4, 0x23);
	put_le32(img + ELF_CODE + 8, -(0x1badb002u + 0x23));
	refused(len, "flags", "multiboot header with an unknown demand");
	make_multiboot(img);
	img[ELF_CODE + 8]++;
	refused(len, "neither", "multiboot header with a bad checksum");

	len = make_flat(img);
	ok(!load(&b, len, 0, "") && b.rip == ELF_LOAD_AT + 0x80 &&
	   *at(ELF_LOAD_AT) == 0x90, "multiboot flat: by header addresses");
	refused(FLAT_HEADER + 20, "cut short", "flat kernel cut in its header");
	refused(len - 1, "load_end", "flat kernel one byte short");
	put_le32(img + FLAT_HEADER + 16, ELF_LOAD_AT + 4096);
	refused(len, "load_addr", "load_addr above header_addr");
	make_flat(img);
	put_le32(img + FLAT_HEADER + 28, 0xf0000000);
	refused(len, "entry point", "entry outside memory");
}

/* Every prefix of every format, and every byte damaged: no crash, no stray. */
static void test_damage(void)
{
	uint64_t (*const make[])(uint8_t *) = {
		make_bzimage, make_pvh, make_multiboot, make_flat,
	};
	struct boot b;
	bool good = true;

	for (size_t f = 0; f < ARRAY_SIZE(make); f++) {
		uint64_t len = make[f](img);

		for (uint64_t n = 0; n < len; n += n < 0x400 ? 1 : 97)
			if (!load(&b, n, 0, "") || !*b.error)
				good = false;
		ok(good, "format %zu: each shorter file is refused", f);
		for (uint64_t i = 0; i < len && i < 5000; i++) {
			uint8_t was = img[i];

			img[i] = 0xff;
			load(&b, len, 100, "x");
			img[i] = 0x80;
			load(&b, len, 0, "x");
			img[i] = was;
		}
		ok(true, "format %zu: each byte damaged, nothing overrun", f);
	}
}

static void test_memory(void)
{
	struct e820_entry map[E820_MAX];
	struct guest_mem big;
	uint64_t ram = 0, last = 0;
	bool sorted = true;
	unsigned int n;

	if (!ok(!guest_mem_create(&big, 6 * GIB, MEM_ANON), "6 GiB reserved"))
		return;
	ok(guest_mem_ptr(&big, 0xbfffffff, 1) && !guest_mem_ptr(&big, 0xbfffffff, 2) &&
	   !guest_mem_ptr(&big, 0xc0000000, 1) && !guest_mem_ptr(&big, 0xffffffff, 1),
	   "nothing from 3 to 4 GiB");
	ok(guest_mem_ptr(&big, 4 * GIB, 3 * GIB) && !guest_mem_ptr(&big, 4 * GIB, 3 * GIB + 1) &&
	   !guest_mem_ptr(&big, 7 * GIB, 1) && !guest_mem_ptr(&big, UINT64_MAX, 2),
	   "3 GiB from 4 GiB on");
	n = guest_mem_e820(&big, map);
	for (unsigned int i = 0; i < n; i++) {
		sorted &= map[i].addr >= last;
		last = map[i].addr + map[i].size;
		if (map[i].type == E820_RAM) {
			ram += map[i].size;
			sorted &= !!guest_mem_ptr(&big, map[i].addr, map[i].size);
		}
	}
	ok(sorted && ram == 6 * GIB - (LAYOUT_HIGH - LAYOUT_EBDA),
	   "E820: sorted, no overlap, all RAM backed");
	guest_mem_destroy(&big);
	ok(guest_mem_create(&big, 12345678, MEM_ANON) < 0, "odd size refused");
	ok(guest_mem_create(&big, 4096, MEM_ANON) < 0, "tiny size refused");
}

static uint8_t sum(const uint8_t *p, uint64_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

static const uint8_t *table(uint64_t addr, const char *sig)
{
	const uint8_t *p = at(addr);
	uint32_t len = get_le32(p + 4);

	ok(!memcmp(p, sig, 4) && len >= 36 && addr + len <= LAYOUT_ACPI_END &&
	   !sum(p, len), "%s at %#llx: signature, length %u, checksum", sig,
	   (unsigned long long)addr, len);
	return p;
}

static void test_acpi(unsigned int cpus, bool pci)
{
	static const uint8_t s5[] = {
		0x08, '\\', '_', 'S', '5', '_', 0x12, 0x08, 0x04,
		0x0a, 5, 0x0a, 5, 0, 0,
	};
	static const uint8_t pnp0501[] = { 0x0c, 0x41, 0xd0, 0x05, 0x01 };
	static const uint8_t pnp0a03[] = { 0x0c, 0x41, 0xd0, 0x0a, 0x03 };
	static const uint8_t prt[] = {
		0x12, 0x0b, 0x04, 0x0c, 0xff, 0xff, 0x01, 0x00, 0, 0, 0x0a, 17,
	};
	const uint8_t *rsdp, *xsdt, *fadt, *dsdt, *madt, *p, *end;
	unsigned int lapics = 0, others = 0;
	uint64_t addr = 0;
	uint32_t len;

	if (!ok(!acpi_build(&mem, cpus, pci, &addr), "tables for %u CPUs%s", cpus,
		pci ? ", PCI" : ""))
		return;
	rsdp = at(addr);
	ok(!memcmp(rsdp, "RSD PTR ", 8) && !sum(rsdp, 20) && !sum(rsdp, 36) &&
	   addr % 16 == 0, "RSDP: both checksums");
	xsdt = table(get_le64(rsdp + 24), "XSDT");
	ok(get_le32(xsdt + 4) == 36 + 2 * 8, "XSDT: two tables");
	fadt = table(get_le64(xsdt + 36), "FACP");
	madt = table(get_le64(xsdt + 44), "APIC");
	dsdt = table(get_le64(fadt + 140), "DSDT");
	ok(get_le32(fadt + 40) == get_le64(fadt + 140), "FADT: DSDT twice");
	ok(!memcmp(at(get_le64(fadt + 132)), "FACS", 4) &&
	   get_le64(fadt + 132) % 64 == 0, "FADT: FACS aligned");
	ok(get_le32(fadt + 64) == PORT_PM + 4 &&
	   get_le64(fadt + 172 + 4) == PORT_PM + 4, "FADT: PM1a control");

	len = get_le32(dsdt + 4);
	ok(!!memmem(dsdt, len, s5, sizeof(s5)), "DSDT: \\_S5 package");
	ok(!!memmem(dsdt, len, pnp0501, sizeof(pnp0501)), "DSDT: PNP0501");
	ok(!memmem(dsdt, len, pnp0a03, sizeof(pnp0a03)) == !pci &&
	   !memmem(dsdt, len, prt, sizeof(prt)) == !pci,
	   "DSDT: PNP0A03 and INTA of slot 1 on GSI 17, %s", pci ? "there" : "not there");
	/* ScopeOp, two-byte length: it must end where \_S5 begins. */
	p = dsdt + 36;
	ok(p[0] == 0x10 && p[1] >> 6 == 1 &&
	   !memcmp(p + 1 + ((p[1] & 0xf) | p[2] << 4), s5, sizeof(s5)),
	   "DSDT: scope's package length");

	end = madt + get_le32(madt + 4);
	for (p = madt + 44; p < end; p += p[1]) {
		if (p[1] < 2)
			break;
		if (p[0] == 0)
			lapics += p[3] == lapics && get_le32(p + 4) == 1;
		else
			others++;
	}
	ok(p == end && lapics == cpus && others == 4,
	   "MADT: %u local APICs, entries fill it", lapics);
}

int main(void)
{
	if (guest_mem_create(&mem, MEM_SIZE, MEM_ANON))
		return 1;
	test_bzimage();
	test_pvh();
	test_multiboot();
	test_damage();
	test_memory();
	test_acpi(1, false);
	test_acpi(1, true);
	test_acpi(ACPI_MAX_CPUS, true);
	guest_mem_destroy(&mem);
	return tap_done();
}
