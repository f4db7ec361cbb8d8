// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the walk through the guest's page tables */

/*
 * The guest memory of a test is 64 pages, enough for the tables; large pages and
 * targets need no backing, because a walk only reads tables.
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <linux/bits.h>

#include "../../kmod/mem/gwalk.h"
#include "tap.h"

#define P	0x001ULL
#define W	0x002ULL
#define U	0x004ULL
#define PS	0x080ULL
#define XD	BIT_ULL(63)

#define CR0_WP	BIT_ULL(16)
#define PG	BIT_ULL(31)
#define PSE	BIT_ULL(4)
#define PAE	BIT_ULL(5)
#define LA57	BIT_ULL(12)
#define SMEP	BIT_ULL(20)
#define SMAP	BIT_ULL(21)
#define LMA	BIT_ULL(10)
#define NXE	BIT_ULL(11)
#define AC	BIT_ULL(18)

#define PAGES	64
static u8 memory[PAGES][4096] __attribute__((aligned(4096)));
static struct gwalk_regs regs;
static int reads;

static int read_mem(void *ctx, u64 gpa, void *val, int size)
{
	expect_eq(gpa % size, 0);
	expect(ctx == memory, "context lost");
	reads++;
	if (gpa + size > sizeof(memory))
		return -EFAULT;
	memcpy(val, &memory[0][0] + gpa, size);
	return 0;
}

static void set8(u64 gpa, u64 val)
{
	memcpy(&memory[0][0] + gpa, &val, 8);
}

static void set4(u64 gpa, u32 val)
{
	memcpy(&memory[0][0] + gpa, &val, 4);
}

static void clear(void)
{
	memset(memory, 0, sizeof(memory));
	memset(&regs, 0, sizeof(regs));
	regs.cr0 = PG | CR0_WP;
	regs.maxphyaddr = 40;
	regs.has_1g = true;
}

/* The walk succeeds and ends at @want */
static void expect_gpa(u64 gva, u32 access, u64 want)
{
	u64 gpa = ~0ULL;
	u32 error = ~0u;

	expect_eq(gwalk(&regs, gva, access, read_mem, memory, &gpa, &error), 0);
	expect_eq(gpa, want);
	expect_eq(error, ~0u);
}

/* The walk ends in a page fault with @want */
static void expect_fault(u64 gva, u32 access, u32 want)
{
	u64 gpa = ~0ULL;
	u32 error = ~0u;

	expect_eq(gwalk(&regs, gva, access, read_mem, memory, &gpa, &error), 1);
	expect_eq(error, want);
	expect_eq(gpa, ~0ULL);
}

static void expect_outside(u64 gva)
{
	u64 gpa;
	u32 error;

	expect_eq(gwalk(&regs, gva, 0, read_mem, memory, &gpa, &error), -EFAULT);
}

/*
 * 4-level paging. PML4 in page 1, and so on down; page table in page 4. The
 * address has a different index at each level.
 */
#define GVA4	((3ULL << 39) | (5ULL << 30) | (7ULL << 21) | (9ULL << 12) | 0x123)
#define PML4E	(0x1000 + 3 * 8)
#define PDPTE	(0x2000 + 5 * 8)
#define PDE	(0x3000 + 7 * 8)
#define PTE	(0x4000 + 9 * 8)
#define TARGET	0x12345000ULL

static void make_long(void)
{
	clear();
	regs.cr4 = PAE;
	regs.efer = LMA | NXE;
	regs.cr3 = 0x1000;
	set8(PML4E, 0x2000 | P | W | U);
	set8(PDPTE, 0x3000 | P | W | U);
	set8(PDE, 0x4000 | P | W | U);
	set8(PTE, TARGET | P | W | U);
}

static void test_no_paging(void)
{
	clear();
	regs.cr0 = 0;
	reads = 0;
	expect_gpa(0x1234, 0, 0x1234);
	expect_gpa(0xffffffff, GWALK_WRITE | GWALK_USER, 0xffffffff);
	/* A linear address has 32 bits outside IA-32e mode */
	expect_gpa(0x100001234, 0, 0x1234);
	expect_eq(reads, 0);
}

static void test_long_sizes(void)
{
	make_long();
	reads = 0;
	expect_gpa(GVA4, 0, TARGET | 0x123);
	expect_eq(reads, 4);
	/* Upper bits of a canonical address do not matter */
	expect_gpa(GVA4 | GENMASK_ULL(63, 48), 0, TARGET | 0x123);

	set8(PDE, 0x40000000ULL | P | PS);
	expect_gpa(GVA4, 0, 0x40000000 | (GVA4 & 0x1fffff));
	set8(PDPTE, 0x80000000ULL | P | PS);
	expect_gpa(GVA4, 0, 0x80000000 | (GVA4 & 0x3fffffff));
	/* The PAT bit of a large page is no address bit */
	set8(PDPTE, 0x80000000ULL | BIT_ULL(12) | P | PS);
	expect_gpa(GVA4, 0, 0x80000000 | (GVA4 & 0x3fffffff));
	/* PCID or PWT, PCD in CR3 are no address bits */
	regs.cr3 |= 0xfff;
	expect_gpa(GVA4, 0, 0x80000000 | (GVA4 & 0x3fffffff));
	/* Nor the bits that software and protection keys have */
	set8(PDPTE, 0x80000000ULL | GENMASK_ULL(62, 52) | 0xe00 | P | PS);
	expect_gpa(GVA4, 0, 0x80000000 | (GVA4 & 0x3fffffff));
}

static void test_long_5_levels(void)
{
	make_long();
	regs.cr4 |= LA57;
	regs.cr3 = 0x5000;
	set8(0x5000 + 0x11 * 8, 0x1000 | P | W | U);
	expect_gpa(GVA4 | (0x11ULL << 48), 0, TARGET | 0x123);
	expect_fault(GVA4 | (0x12ULL << 48), 0, 0);
	set8(0x5000 + 0x11 * 8, 0x1000 | P | W | U | PS);
	expect_fault(GVA4 | (0x11ULL << 48), 0, GWALK_PF_P | GWALK_PF_RSVD);
}

static void test_not_present(void)
{
	static const u64 entries[] = { PML4E, PDPTE, PDE, PTE };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		make_long();
		/* What is not present has no reserved bits */
		set8(entries[i], ~P);
		expect_fault(GVA4, 0, 0);
		expect_fault(GVA4, GWALK_WRITE, GWALK_PF_W);
		expect_fault(GVA4, GWALK_USER, GWALK_PF_U);
		expect_fault(GVA4, GWALK_USER | GWALK_EXEC,
			     GWALK_PF_U | GWALK_PF_I);
	}
}

/* I/D is told only where fetches can be refused: NXE with PAE, or SMEP */
static void test_fetch_told(void)
{
	make_long();
	set8(PTE, 0);
	regs.efer = LMA;
	expect_fault(GVA4, GWALK_EXEC, 0);
	regs.cr4 |= SMEP;
	expect_fault(GVA4, GWALK_EXEC, GWALK_PF_I);
	regs.cr4 = PAE;
	regs.efer = LMA | NXE;
	expect_fault(GVA4, GWALK_EXEC, GWALK_PF_I);
	expect_fault(GVA4, 0, 0);
}

static void reserved_at(u64 entry, u64 good, u64 bad)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		if (!(bad & BIT_ULL(bit)))
			continue;
		make_long();
		set8(entry, good | BIT_ULL(bit));
		expect_fault(GVA4, 0, GWALK_PF_P | GWALK_PF_RSVD);
		expect_fault(GVA4, GWALK_WRITE | GWALK_USER, GWALK_PF_P |
			     GWALK_PF_RSVD | GWALK_PF_W | GWALK_PF_U);
	}
}

static void test_reserved(void)
{
	u64 high = GENMASK_ULL(51, 40);

	reserved_at(PML4E, 0x2000 | P | W | U, high | PS);
	reserved_at(PDPTE, 0x3000 | P | W | U, high);
	reserved_at(PDE, 0x4000 | P | W | U, high);
	reserved_at(PTE, TARGET | P | W | U, high);
	reserved_at(PDE, P | W | U | PS, high | GENMASK_ULL(20, 13));
	reserved_at(PDPTE, P | W | U | PS, high | GENMASK_ULL(29, 13));

	/* A wider address has fewer of them */
	make_long();
	regs.maxphyaddr = 52;
	set8(PTE, BIT_ULL(51) | P);
	expect_gpa(GVA4, 0, BIT_ULL(51) | 0x123);

	/* No 1 GiB pages: PS is reserved there */
	make_long();
	set8(PDPTE, P | W | U | PS);
	expect_gpa(GVA4, 0, GVA4 & 0x3fffffff);
	regs.has_1g = false;
	expect_fault(GVA4, 0, GWALK_PF_P | GWALK_PF_RSVD);

	/* XD without NXE, at each level */
	make_long();
	regs.efer = LMA;
	set8(PTE, TARGET | P | XD);
	expect_fault(GVA4, 0, GWALK_PF_P | GWALK_PF_RSVD);
	set8(PTE, TARGET | P);
	expect_gpa(GVA4, 0, TARGET | 0x123);
	set8(PML4E, 0x2000 | P | XD);
	expect_fault(GVA4, 0, GWALK_PF_P | GWALK_PF_RSVD);
}

/* In PTE at the bottom or in PML4E at the top, a right that is missing is missing */
static void test_rights_gather(void)
{
	static const u64 entries[] = { PML4E, PDPTE, PDE, PTE };
	static const u64 targets[] = { 0x2000, 0x3000, 0x4000, TARGET };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		make_long();
		set8(entries[i], targets[i] | P | U);
		expect_fault(GVA4, GWALK_WRITE, GWALK_PF_P | GWALK_PF_W);
		expect_gpa(GVA4, GWALK_USER, TARGET | 0x123);
		set8(entries[i], targets[i] | P | W);
		expect_fault(GVA4, GWALK_USER, GWALK_PF_P | GWALK_PF_U);
		expect_gpa(GVA4, GWALK_WRITE, TARGET | 0x123);
		set8(entries[i], targets[i] | P | W | U | XD);
		expect_fault(GVA4, GWALK_EXEC, GWALK_PF_P | GWALK_PF_I);
		expect_gpa(GVA4, GWALK_WRITE, TARGET | 0x123);
	}
}

/*
 * "Determination of Access Rights" as the manual lists it: by mode of the address,
 * then by kind of access. Here @user is the mode of the page.
 */
static bool manual_allows(bool user, bool writable, bool xd, u32 access, bool wp,
			  bool smep, bool smap, bool ac, int cpl)
{
	if (!(access & GWALK_USER)) {
		if (access & GWALK_EXEC)
			return user ? !smep && !xd : !xd;
		if (!user)
			return access & GWALK_WRITE ? !wp || writable : true;
		/* Supervisor-mode data access to a user-mode address */
		if (smap) {
			if (access & GWALK_IMPLICIT)
				return false;
			if (cpl == 3 || !ac)
				return false;
		}
		return access & GWALK_WRITE ? !wp || writable : true;
	}
	if (!user)
		return false;
	if (access & GWALK_EXEC)
		return !xd;
	return access & GWALK_WRITE ? writable : true;
}

static void test_rights_all(void)
{
	static const u32 accesses[] = {
		0, GWALK_WRITE, GWALK_EXEC, GWALK_IMPLICIT,
		GWALK_IMPLICIT | GWALK_WRITE, GWALK_USER,
		GWALK_USER | GWALK_WRITE, GWALK_USER | GWALK_EXEC,
	};
	unsigned int i, a;

	for (i = 0; i < 256; i++) {
		bool user = i & 1, writable = i & 2, xd = i & 4, wp = i & 8;
		bool smep = i & 16, smap = i & 32, ac = i & 64;
		int cpl = i & 128 ? 3 : 0;

		make_long();
		set8(PTE, TARGET | P | (user ? U : 0) | (writable ? W : 0) |
		     (xd ? XD : 0));
		regs.cr0 = PG | (wp ? CR0_WP : 0);
		regs.cr4 |= (smep ? SMEP : 0) | (smap ? SMAP : 0);
		regs.rflags = ac ? AC : 0;
		regs.cpl = cpl;

		for (a = 0; a < sizeof(accesses) / sizeof(*accesses); a++) {
			u32 access = accesses[a];
			u32 error = GWALK_PF_P;

			if (manual_allows(user, writable, xd, access, wp, smep,
					  smap, ac, cpl)) {
				expect_gpa(GVA4, access, TARGET | 0x123);
				continue;
			}
			if (access & GWALK_WRITE)
				error |= GWALK_PF_W;
			if (access & GWALK_USER)
				error |= GWALK_PF_U;
			if (access & GWALK_EXEC)
				error |= GWALK_PF_I;
			expect_fault(GVA4, access, error);
		}
	}
}

static void test_outside(void)
{
	make_long();
	regs.cr3 = PAGES * 0x1000ULL;
	expect_outside(GVA4);
	make_long();
	set8(PDE, 0x7000000000ULL | P);
	expect_outside(GVA4);
	/* CR3 beyond the address width is cut, as MOV to CR3 would have refused it */
	make_long();
	regs.cr3 |= BIT_ULL(41);
	expect_gpa(GVA4, 0, TARGET | 0x123);
}

/* 32-bit paging: directory in page 1, table in page 2 */
#define GVA2	((0x345u << 22) | (0x2abu << 12) | 0x765)

static void make_32(void)
{
	clear();
	regs.cr3 = 0x1000;
	set4(0x1000 + 0x345 * 4, 0x2000 | P | W | U);
	set4(0x2000 + 0x2ab * 4, 0xfedcb000 | P | W | U);
}

static void test_32bit(void)
{
	make_32();
	reads = 0;
	expect_gpa(GVA2, 0, 0xfedcb765);
	expect_eq(reads, 2);
	expect_gpa(GVA2 | (0xabULL << 32), 0, 0xfedcb765);
	set4(0x2000 + 0x2ab * 4, 0xfedcb000 | P | U);
	expect_fault(GVA2, GWALK_WRITE, GWALK_PF_P | GWALK_PF_W);
	/* There is no XD: a fetch is a read */
	expect_gpa(GVA2, GWALK_EXEC | GWALK_USER, 0xfedcb765);
	set4(0x1000 + 0x345 * 4, 0x2000 | P | W);
	expect_fault(GVA2, GWALK_USER | GWALK_EXEC, GWALK_PF_P | GWALK_PF_U);
	set4(0x2000 + 0x2ab * 4, 0);
	expect_fault(GVA2, 0, 0);
}

static void test_32bit_4m(void)
{
	u32 offset = GVA2 & 0x3fffff;

	make_32();
	/* Without CR4.PSE the bit is ignored and this is a table */
	set4(0x1000 + 0x345 * 4, 0x2000 | P | W | U | PS);
	expect_gpa(GVA2, 0, 0xfedcb765);
	regs.cr4 = PSE;
	set4(0x1000 + 0x345 * 4, 0xabc00000 | P | W | U | PS);
	expect_gpa(GVA2, 0, 0xabc00000 | offset);
	/* PSE-36: bits 20..13 are 39..32 of the address */
	set4(0x1000 + 0x345 * 4, 0xabc00000 | 0x1fe000 | P | W | U | PS);
	expect_gpa(GVA2, 0, 0xffabc00000ULL | offset);
	regs.maxphyaddr = 36;
	expect_fault(GVA2, 0, GWALK_PF_P | GWALK_PF_RSVD);
	set4(0x1000 + 0x345 * 4, 0xabc00000 | 0x01e000 | P | W | U | PS);
	expect_gpa(GVA2, 0, 0xfabc00000ULL | offset);
	set4(0x1000 + 0x345 * 4, 0xabc00000 | BIT_ULL(21) | P | W | U | PS);
	expect_fault(GVA2, 0, GWALK_PF_P | GWALK_PF_RSVD);
	/* PAT bit */
	set4(0x1000 + 0x345 * 4, 0xabc00000 | BIT_ULL(12) | P | W | U | PS);
	expect_gpa(GVA2, 0, 0xabc00000 | offset);
}

/* PAE paging: PDPTE 2 names the directory in page 1 */
#define GVA3	((2u << 30) | (0x155u << 21) | (0x0aau << 12) | 0x321)

static void make_pae(void)
{
	clear();
	regs.cr4 = PAE;
	regs.efer = NXE;
	regs.cr3 = 0x20;
	regs.pdptr[2] = 0x1000 | P;
	set8(0x1000 + 0x155 * 8, 0x2000 | P | W | U);
	set8(0x2000 + 0x0aa * 8, 0x312345000ULL | P | W | U);
}

static void test_pae(void)
{
	int bit;

	make_pae();
	reads = 0;
	/* A PDPTE has no W and no U, and does not take them away */
	expect_gpa(GVA3, GWALK_WRITE | GWALK_USER, 0x312345321ULL);
	expect_eq(reads, 2);
	expect_fault(GVA3 & 0x3fffffff, 0, 0);
	expect_fault(GVA3 | 0xc0000000u, GWALK_EXEC, GWALK_PF_I);

	set8(0x1000 + 0x155 * 8, 0x40000000 | P | W | PS);
	expect_gpa(GVA3, 0, 0x40000000 | (GVA3 & 0x1fffff));
	expect_fault(GVA3, GWALK_USER, GWALK_PF_P | GWALK_PF_U);
	set8(0x1000 + 0x155 * 8, 0x40000000 | XD | P | W | PS);
	expect_fault(GVA3, GWALK_EXEC, GWALK_PF_P | GWALK_PF_I);

	/* Here 62..52 are reserved too */
	for (bit = 40; bit < 63; bit++) {
		make_pae();
		set8(0x2000 + 0x0aa * 8, 0x312345000ULL | BIT_ULL(bit) | P);
		expect_fault(GVA3, 0, GWALK_PF_P | GWALK_PF_RSVD);
	}
	make_pae();
	regs.efer = 0;
	set8(0x2000 + 0x0aa * 8, 0x312345000ULL | XD | P);
	expect_fault(GVA3, 0, GWALK_PF_P | GWALK_PF_RSVD);
}

static const struct tap_test tests[] = {
	{ "no paging: linear is physical", test_no_paging },
	{ "4-level: 4K, 2M and 1G pages", test_long_sizes },
	{ "5-level", test_long_5_levels },
	{ "not present at each level", test_not_present },
	{ "instruction fetch in the error code", test_fetch_told },
	{ "reserved bits at each level", test_reserved },
	{ "rights gathered over the levels", test_rights_gather },
	{ "all rights, CR0.WP, SMEP, SMAP, AC, CPL", test_rights_all },
	{ "tables outside guest memory", test_outside },
	{ "32-bit paging", test_32bit },
	{ "32-bit paging: 4M pages and PSE-36", test_32bit_4m },
	{ "PAE paging", test_pae },
};

int main(void)
{
	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
