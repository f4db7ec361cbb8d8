// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/ept02: the memory of composed page tables is bounded, and given back when the host wants it,
 * while L2 uses them; nested.rst, "Memory".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nested.h"
#include "stats.h"

#define LIMIT		"/sys/module/emys/parameters/ept02_pages"
#define DERIVED		"/sys/kernel/debug/emys/derived"
#define CACHES		"/proc/sys/vm/drop_caches"

#define WINDOW		(1ull << 30)	/* L2 looks at SLOT through it, many times over */
#define SLOT		0x8000000ull	/* memory of its own, in small pages */
#define SLOT_PAGES	512ull
#define ROOTS		(SLOT + SLOT_PAGES * PAGE)
#define NR_ROOTS	64ull
#define SLOT_SIZE	(4ull << 20)
#define PAGE		4096ull
#define VIEWS		8192ull		/* pages of the window */
#define STEP		1024ull

/* Each hierarchy may have so many pages however low the limit is, and one is spare. */
#define ROOT_MIN	64
/* A fault that finds room takes tables and a node. */
#define FAULT_MAX	6
/* that a VM keeps, beyond two for each vCPU */
#define KEEP_MAX	32

static void write_file(const char *path, const char *text)
{
	int fd = CHECK_OK(open(path, O_WRONLY));

	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Leaves that are not as they must be, of all VMs. */
static void check_none_wrong(void)
{
	unsigned long wrong = 0, n;
	FILE *f = fopen(DERIVED, "r");
	char line[300], *at;
	int vms = 0;

	CHECK_MSG(f, "no %s", DERIVED);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, " wrong ");
		if (!at)
			continue;
		CHECK_EQ(sscanf(at, " wrong %lu", &n), 1);
		wrong += n;
		vms++;
	}
	fclose(f);
	CHECK(vms > 0);
	CHECK_EQ(wrong, 0);
}

static u64 vm_stat(struct vcpu *vcpu, const char *name)
{
	struct stats s = stats_open(vcpu->vm->fd);
	u64 v = stats_read(&s, name);

	stats_close(&s);
	return v;
}

static void *slot_memory;

/* L1 with the slot, in pages of 4 KiB. */
static struct vcpu *make(void *fn, u64 arg)
{
	struct vcpu *vcpu;

	REQUIRE(ksft_is_emys(), "not emys");
	vcpu = nested_vcpu_with(fn, arg, PROC2_CTL, PROC2_EPT);
	slot_memory = host_memory(SLOT_SIZE);
	CHECK_OK(madvise(slot_memory, SLOT_SIZE, MADV_NOHUGEPAGE));
	vm_region(vcpu->vm, 1, 0, SLOT, SLOT_SIZE, slot_memory);
	return vcpu;
}

/* -- guests -------------------------------------------------------------------------------- */

static volatile u64 stop;

/* Which page of the slot is seen there? */
static u64 behind(u64 view)
{
	return view * 7 % SLOT_PAGES;
}

static volatile u64 *seen(u64 view)
{
	return (volatile u64 *)(WINDOW + view * PAGE);
}

/* Every view has the right page, and what is written there is in no other. */
static void l2_views(u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		GUEST_ASSERT_AT(seen(i)[0] == behind(i), i, seen(i)[0]);
		seen(i)[1] = i;
		if (i % STEP == STEP - 1)
			GUEST_SYNC(1);
	}
}

static void l2_views_again(u64 nr)
{
	while (!stop)
		l2_views(nr);
}

static u64 make_window(u64 nr)
{
	u64 i, eptp;

	for (i = 0; i < SLOT_PAGES; i++)
		*(volatile u64 *)(SLOT + i * PAGE) = i;
	l1_vmx_on();
	eptp = ept_identity(2);
	for (i = 0; i < nr; i++)
		ept_map(eptp, WINDOW + i * PAGE, SLOT + behind(i) * PAGE, 1, EPT_RWX);
	return eptp;
}

/* Of the views that L2 wrote, the last of each page. */
static void check_written(u64 nr)
{
	u64 i, v;

	for (i = nr - SLOT_PAGES; i < nr; i++) {
		v = ((volatile u64 *)(SLOT + behind(i) * PAGE))[1];
		GUEST_ASSERT_AT(v == i, i, v);
	}
}

static void guest_limit(u64 nr)
{
	u64 eptp = make_window(nr);
	int pass;

	l1_make_vmcs(l1_vmcs, l2_views, nr);
	l1_use_ept(eptp);
	for (pass = 0; pass < 3; pass++) {
		L2_DONE();
		check_written(nr);
		l2_call(l2_views, nr);
		/* once all that is cached, once this one */
		GUEST_ASSERT_EQ(try_invept(pass ? 1 : 2, pass ? eptp : 0, 0), VMX_OK);
		GUEST_SYNC(2);
	}
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	GUEST_SYNC(3);
}

static void guest_again(u64 nr)
{
	u64 eptp = make_window(nr);

	l1_make_vmcs(l1_vmcs, l2_views_again, nr);
	l1_use_ept(eptp);
	L2_DONE();
	check_written(nr);
	GUEST_SYNC(2);
}

static void l2_one(u64 view)
{
	GUEST_ASSERT_EQ(seen(view)[0], behind(view));
}

/* Many roots with the same below them; the last STAYS. */
static void guest_roots(u64 nr)
{
	u64 i, k, eptp = make_window(STEP);
	u64 *from = (u64 *)(eptp & ~0xfffull);

	l1_make_vmcs(l1_vmcs, l2_one, 0);
	for (i = 0; i < nr; i++) {
		u64 *root = (u64 *)(ROOTS + i * PAGE);

		for (k = 0; k < 512; k++)
			root[k] = from[k];
		l1_use_ept(pa(root) | (eptp & 0xfff));
		l2_call(l2_one, i);
		L2_DONE();
	}
	GUEST_SYNC(1);
	l2_call(l2_one, 0);
	L2_DONE();
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	GUEST_SYNC(3);
}

/* -- a large page of L1's over small ones of L0's ---------------------------------------------- */

enum { UNDER_FIRST = 1, UNDER_AGAIN, UNDER_GONE, UNDER_LOG, UNDER_LOGGED, UNDER_END };

static void l2_pages(u64 mark)
{
	u64 i;

	for (i = 0; i < SLOT_PAGES; i++)
		GUEST_ASSERT_AT(seen(i)[0] == i, i, seen(i)[0]);
	for (i = 0; i < SLOT_PAGES; i++)
		seen(i)[1] = mark + i;
}

/* The VMM has taken page 7 away: it is a new one. */
static void l2_gone(u64 page)
{
	u64 i;

	for (i = 0; i < SLOT_PAGES; i++)
		GUEST_ASSERT_AT(seen(i)[0] == (i == page ? 0 : i), i, seen(i)[0]);
	seen(page)[0] = page;
}

static void l2_write(u64 page)
{
	GUEST_ASSERT_EQ(seen(page)[0], page);
	seen(page)[2] = page;
}

static void l2_look_at(u64 page)
{
	GUEST_ASSERT_EQ(seen(page)[0], page);
}

static void l2_reversed(u64 last)
{
	u64 i;

	for (i = 0; i < SLOT_PAGES; i++)
		GUEST_ASSERT_AT(seen(i)[0] == last - i, i, seen(i)[0]);
}

static void under_marked(u64 mark)
{
	u64 i, v;

	for (i = 0; i < SLOT_PAGES; i++) {
		v = ((volatile u64 *)(SLOT + i * PAGE))[1];
		GUEST_ASSERT_AT(v == mark + i, i, v);
	}
}

static void guest_under(u64 flags)
{
	const u64 large = SLOT | EPT_WB | EPT_LARGE | EPT_R | EPT_X;
	volatile u64 *leaf;
	u64 i, eptp;

	for (i = 0; i < SLOT_PAGES; i++)
		*(volatile u64 *)(SLOT + i * PAGE) = i;
	l1_vmx_on();
	eptp = ept_identity(2) | flags;
	ept_map(eptp, WINDOW, SLOT, 2, EPT_RWX);
	leaf = ept_entry(eptp, WINDOW, 2);
	l1_make_vmcs(l1_vmcs, l2_pages, 1000);
	l1_use_ept(eptp);
	GUEST_SYNC(UNDER_FIRST);
	L2_DONE();
	under_marked(1000);
	if (flags)
		GUEST_ASSERT_EQ(*leaf & (EPT_A | EPT_D), EPT_A | EPT_D);
	GUEST_SYNC(UNDER_AGAIN);
	l2_call(l2_pages, 2000);
	L2_DONE();
	under_marked(2000);
	GUEST_SYNC(UNDER_GONE);
	l2_call(l2_gone, 7);
	L2_DONE();
	GUEST_ASSERT_EQ(*(volatile u64 *)(SLOT + 7 * PAGE), 7);
	GUEST_SYNC(UNDER_LOG);
	l2_call(l2_write, 3);
	L2_DONE();
	l2_call(l2_write, 500);
	L2_DONE();
	GUEST_SYNC(UNDER_LOGGED);

	/* L1 takes a right away, and gives it back */
	*leaf = large | EPT_A | EPT_D;
	GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
	l2_call(l2_write, 4);
	L2_EXIT(REASON_EPT_VIOLATION);
	*leaf |= EPT_W;
	L2_DONE();
	if (flags) {
		/* of a page that is clean in EPT12 the next write is seen there */
		*leaf = large | EPT_W;
		GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
		l2_call(l2_look_at, 9);
		L2_DONE();
		GUEST_ASSERT_EQ(*leaf & (EPT_A | EPT_D), EPT_A);
		l2_call(l2_write, 9);
		L2_DONE();
		GUEST_ASSERT_EQ(*leaf & (EPT_A | EPT_D), EPT_A | EPT_D);
	}
	/* other pages, and small ones of L1's own */
	*leaf = 0;
	for (i = 0; i < SLOT_PAGES; i++)
		ept_map(eptp, WINDOW + i * PAGE, SLOT + (SLOT_PAGES - 1 - i) * PAGE, 1, EPT_RWX);
	GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
	l2_call(l2_reversed, SLOT_PAGES - 1);
	L2_DONE();
	/* large again, over what there is of small ones; and gone */
	*leaf = large | EPT_W;
	GUEST_ASSERT_EQ(try_invept(2, 0, 0), VMX_OK);
	l2_call(l2_pages, 3000);
	L2_DONE();
	under_marked(3000);
	*leaf = 0;
	GUEST_ASSERT_EQ(try_invept(1, eptp, 0), VMX_OK);
	l2_call(l2_write, 4);
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_SYNC(UNDER_END);
}

/* L1 leaves VMX operation and comes back. */
static void guest_away(u64 nr)
{
	u64 i, eptp = make_window(nr);

	for (;;) {
		l1_make_vmcs(l1_vmcs, l2_one, 0);
		l1_use_ept(eptp);
		for (i = 0; i < nr; i++) {
			l2_call(l2_one, i);
			L2_DONE();
		}
		GUEST_SYNC(1);
		l1_vmx_off();
		GUEST_SYNC(2);
		l1_vmx_on();
	}
}

/* -- the VMM --------------------------------------------------------------------------------- */

static const char *const all[] = { "ept02_roots", "ept02_leaves", "ept02_tables", "ept02_pages" };

static void check_all_gone(struct vcpu *vcpu)
{
	unsigned int i;

	/* a second later */
	for (i = 0; i < 50 * ksft_slowness() && vm_stat(vcpu, "ept02_pages"); i++)
		usleep(100000);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		CHECK_MSG(!vm_stat(vcpu, all[i]), "%s after VMXOFF: %llu", all[i],
			  (unsigned long long)vm_stat(vcpu, all[i]));
}

/* L2 touches more than may be described: the limit holds, the data is right. */
static void test_limit(void)
{
	struct vcpu *vcpu = make(guest_limit, VIEWS);
	u64 pass, i, most = 0, faults = 0, evictions = 0;

	write_file(LIMIT, "1");
	for (pass = 0; pass < 3; pass++) {
		for (i = 0; i < VIEWS / STEP; i++) {
			u64 pages;

			vcpu_sync(vcpu, 1);
			pages = vm_stat(vcpu, "ept02_pages");
			CHECK_MSG(pages <= 2 * ROOT_MIN + FAULT_MAX, "%llu pages",
				  (unsigned long long)pages);
			most = pages > most ? pages : most;
		}
		check_none_wrong();
		vcpu_sync(vcpu, 2);
		CHECK_EQ(vm_stat(vcpu, "ept02_roots"), 1);
		/* each view, and the limit was reached on the way */
		CHECK(vm_stat(vcpu, "ept02_faults") - faults >= VIEWS);
		CHECK(vm_stat(vcpu, "ept02_evictions") > evictions);
		faults = vm_stat(vcpu, "ept02_faults");
		evictions = vm_stat(vcpu, "ept02_evictions");
		check_none_wrong();
	}
	CHECK(most > ROOT_MIN);
	CHECK(vm_stat(vcpu, "ept02_drops_limit") >= VIEWS);
	CHECK_EQ(vm_stat(vcpu, "ept02_drops_shrinker"), 0);
	vcpu_sync(vcpu, 3);
	check_all_gone(vcpu);
	vcpu_done(vcpu);
	write_file(LIMIT, "0");
}

/* The same below the limit: each view has one fault, and nothing goes but by INVEPT. */
static void test_room(void)
{
	struct vcpu *vcpu = make(guest_limit, STEP);
	u64 pass, before;

	write_file(LIMIT, "0");
	vcpu_sync(vcpu, 1);
	before = vm_stat(vcpu, "ept02_faults");
	for (pass = 0; pass < 3; pass++) {
		vcpu_sync(vcpu, 2);
		if (pass < 2)
			vcpu_sync(vcpu, 1);
	}
	/* INVEPT keeps what L1 did not change */
	CHECK_EQ(vm_stat(vcpu, "ept02_faults"), before);
	CHECK(vm_stat(vcpu, "ept02_leaves") >= STEP);
	CHECK_EQ(vm_stat(vcpu, "ept02_drops_limit"), 0);
	CHECK_EQ(vm_stat(vcpu, "ept02_evictions"), 0);
	vcpu_sync(vcpu, 3);
	check_all_gone(vcpu);
	vcpu_done(vcpu);
}

/* The host takes the memory back while L2 is in it. */
static void test_shrinker(void)
{
	struct vcpu *vcpu = make(guest_again, 2 * STEP);
	int status, i;
	pid_t pid;

	vcpu_sync(vcpu, 1);
	CHECK(vm_stat(vcpu, "ept02_leaves") >= STEP);
	CHECK_EQ(vm_stat(vcpu, "ept02_evictions"), 0);
	/* between two stays in the guest */
	write_file(CACHES, "2");
	CHECK(vm_stat(vcpu, "ept02_drops_shrinker") >= STEP);
	CHECK_EQ(vm_stat(vcpu, "ept02_leaves"), 0);
	check_none_wrong();
	/* and in the middle of them */
	pid = fork();
	if (!pid) {
		for (i = 0; i < 10; i++) {
			write_file(CACHES, "2");
			usleep(20000);
		}
		_exit(0);
	}
	for (i = 0; waitpid(pid, &status, WNOHANG) != pid; i++) {
		vcpu_sync(vcpu, 1);
		check_none_wrong();
	}
	CHECK_EQ(status, 0);
	CHECK(vm_stat(vcpu, "ept02_evictions") > 1);
	CHECK_EQ(vm_stat(vcpu, "ept02_drops_limit"), 0);
	VM_VAR(vcpu->vm, stop) = 1;
	for (;;) {
		CHECK_EQ(vcpu_exit(vcpu), EXIT_UCALL);
		if (vcpu->uc.arg[0] != 1)
			break;
	}
	check_none_wrong();
	vcpu_done(vcpu);
}

/* Hierarchies that were used before: not too many are kept, and none when memory is short. */
static void test_roots(void)
{
	struct vcpu *vcpu = make(guest_roots, NR_ROOTS);
	u64 drops;

	vcpu_sync(vcpu, 1);
	CHECK_EQ(vm_stat(vcpu, "ept02_roots"), KEEP_MAX + 2);
	CHECK_EQ(vm_stat(vcpu, "ept02_evictions"), NR_ROOTS - KEEP_MAX - 2);
	drops = vm_stat(vcpu, "ept02_drops_limit");
	CHECK(drops >= NR_ROOTS - KEEP_MAX - 2);
	check_none_wrong();
	write_file(CACHES, "2");
	/* the one in use */
	CHECK_EQ(vm_stat(vcpu, "ept02_roots"), 1);
	CHECK(vm_stat(vcpu, "ept02_evictions") >= NR_ROOTS - 1);
	CHECK_EQ(vm_stat(vcpu, "ept02_drops_limit"), drops);
	CHECK(vm_stat(vcpu, "ept02_drops_shrinker") >= KEEP_MAX);
	check_none_wrong();
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vm_stat(vcpu, "ept02_roots"), 1);
	vcpu_sync(vcpu, 3);
	check_all_gone(vcpu);
	vcpu_done(vcpu);
}

static void dirty_log(struct vcpu *vcpu, u64 *bits)
{
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_DIRTY_LOG, &log));
}

static void under(u64 flags)
{
	struct vcpu *vcpu = make(guest_under, flags);
	u64 bits[SLOT_SIZE / PAGE / 64], faults, i;
	void *memory = slot_memory;

	vcpu_sync(vcpu, UNDER_FIRST);
	faults = vm_stat(vcpu, "ept02_faults");
	vcpu_sync(vcpu, UNDER_AGAIN);
	faults = vm_stat(vcpu, "ept02_faults") - faults;
	/* with the same flags at both levels, EPT01's table: else as many leaves */
	CHECK_MSG(flags ? faults < 20 : faults >= SLOT_PAGES, "%llu faults",
		  (unsigned long long)faults);
	check_none_wrong();
	vcpu_sync(vcpu, UNDER_GONE);
	CHECK_OK(madvise(memory + 7 * PAGE, PAGE, MADV_DONTNEED));
	check_none_wrong();
	vcpu_sync(vcpu, UNDER_LOG);
	vm_region(vcpu->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT, SLOT_SIZE, memory);
	dirty_log(vcpu, bits);
	vcpu_sync(vcpu, UNDER_LOGGED);
	dirty_log(vcpu, bits);
	for (i = 0; i < SLOT_PAGES; i++)
		CHECK_MSG((bits[i / 64] >> i % 64 & 1) == (i == 3 || i == 500), "page %llu",
			  (unsigned long long)i);
	check_none_wrong();
	vcpu_sync(vcpu, UNDER_END);
	check_none_wrong();
	vcpu_done(vcpu);
}

/* L1 maps 2 MiB where L0 has small pages, with accessed and dirty flags or without. */
static void test_under(void)
{
	under(EPTP_AD);
}

static void test_under_plain(void)
{
	under(0);
}

/*
 * What was composed outlives VMXOFF for as long as an L1 needs that is in VMX operation only while it
 * runs L2. The VMM, who may change L1's memory, ends it at once.
 */
static void test_away(void)
{
	struct vcpu *vcpu = make(guest_away, 16);
	struct kvm_nested_state off = {
		.size = sizeof(off),
		.hdr.vmx = { .vmxon_pa = ~0ull, .vmcs12_pa = ~0ull },
	};
	u64 faults;

	vcpu_sync(vcpu, 1);
	faults = vm_stat(vcpu, "ept02_faults");
	CHECK(faults >= 16);
	vcpu_sync(vcpu, 2);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vm_stat(vcpu, "ept02_faults"), faults);
	CHECK(vm_stat(vcpu, "ept02_leaves") >= 16);
	check_none_wrong();
	vcpu_sync(vcpu, 2);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_NESTED_STATE, &off));
	CHECK_EQ(vm_stat(vcpu, "ept02_roots"), 0);
	CHECK_EQ(vm_stat(vcpu, "ept02_leaves"), 0);
	vcpu_sync(vcpu, 1);
	CHECK(vm_stat(vcpu, "ept02_faults") >= faults + 16);
	vcpu_sync(vcpu, 2);
	check_all_gone(vcpu);
}

KSFT_MAIN(
	{ "ept02: small pages under a large one", test_under },
	{ "ept02: the same without flags", test_under_plain },
	{ "ept02: room for all", test_room },
	{ "ept02: limit", test_limit, 60 },
	{ "ept02: shrinker", test_shrinker, 60 },
	{ "ept02: roots", test_roots, 60 },
	{ "ept02: L1 away for a moment", test_away },
)
