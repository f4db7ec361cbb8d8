// SPDX-License-Identifier: GPL-2.0-only
/* A guest whose memory is known to the byte; see layout.h. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout.h"

#define AREA_GPA(n)	(0x10000000ull + (n) * 0x10000000ull)
#define WORDS		512

/* What the guest is told, and keeps */
static volatile struct {
	u64 order, arg, result;
	u32 blocks[AREAS];
	u32 hot_same;
	u64 next, grown;
	bool changed, touched;
} guest;

static u64 word(u64 seed, u64 i)
{
	return seed ? (seed * 0x9e3779b97f4a7c15ull) ^ (i * 0xbf58476d1ce4e5b9ull) : 0;
}

/* What a page holds: the seed of its words; 0 is zeros. */
static u64 seed(enum area area, u64 page, bool changed)
{
	u64 half = guest.blocks[COLD] * BLOCK_PAGES / 2;

	switch (area) {
	case HOT:
		if (page % BLOCK_PAGES < guest.hot_same)
			return 1ull << 32 | page % BLOCK_PAGES;
		return 2ull << 32 | page;
	case COLD:
		return changed ? 3ull << 32 | page : 4ull << 32 | page % half;
	case GROW:
		return 5ull << 32 | page;
	default:
		return 0;
	}
}

static u64 pages(enum area area)
{
	return area == GROW ? guest.grown : guest.blocks[area] * BLOCK_PAGES;
}

static volatile u64 *guest_page(enum area area, u64 page)
{
	return (volatile u64 *)(AREA_GPA(area) + page * 4096);
}

static void fill_page(enum area area, u64 page, u64 with)
{
	volatile u64 *p = guest_page(area, page);
	u64 i;

	for (i = 0; i < WORDS; i++)
		p[i] = word(with, i);
}

static void fill(void)
{
	enum area area;
	u64 i;

	for (area = HOT; area <= ZERO; area++)
		for (i = 0; i < pages(area); i++) {
			if (area == ZERO)
				fill_page(area, i, 1);
			fill_page(area, i, seed(area, i, false));
		}
}

static void use(void)
{
	u64 i, was;

	for (i = 0; i < pages(HOT); i++) {
		volatile u64 *p = guest_page(HOT, i);

		was = p[i % WORDS];
		if (i % BLOCK_PAGES >= guest.hot_same)
			p[i % WORDS] = was;
	}
}

/* A page that was given away is what a guest would read from its disk again. */
static void read_some(u64 n)
{
	u64 given = 0;

	for (; n; n--) {
		u64 i = guest.next++ % pages(COLD);
		u64 want = seed(COLD, i, guest.changed);
		u64 got = *guest_page(COLD, i);

		if (!got) {
			fill_page(COLD, i, want);
			given++;
		} else {
			GUEST_ASSERT_AT(got == word(want, 0), i, got);
		}
	}
	guest.result = given;
}

static void change(void)
{
	u64 i;

	for (i = 0; i < pages(COLD); i++)
		fill_page(COLD, i, seed(COLD, i, true));
	guest.changed = true;
}

static void touch(void)
{
	u64 i;

	for (i = 0; i < pages(ZERO); i++)
		*guest_page(ZERO, i) = i + 1;
	guest.touched = true;
}

static void grow(u64 n)
{
	for (; n; n--) {
		u64 i = guest.grown++;

		fill_page(GROW, i, seed(GROW, i, false));
	}
}

/* 0, or where it is wrong */
static const volatile u64 *check_page(const volatile u64 *p, enum area area, u64 page,
				      bool changed, bool touched)
{
	u64 with = seed(area, page, changed);
	u64 i = 0;

	if (area == ZERO && touched) {
		if (*p != page + 1)
			return p;
		i = 1;
	}
	for (; i < WORDS; i++)
		if (p[i] != word(with, i))
			return p + i;
	return NULL;
}

static void check(void)
{
	const volatile u64 *bad;
	enum area area;
	u64 i;

	for (area = HOT; area < AREAS; area++)
		for (i = 0; i < pages(area); i++) {
			bad = check_page(guest_page(area, i), area, i, guest.changed,
					 guest.touched);
			GUEST_ASSERT_AT(!bad, (uintptr_t)bad, bad ? *bad : 0);
		}
}

static void guest_main(void)
{
	for (;;) {
		guest.result = 0;
		switch (guest.order) {
		case ORDER_FILL:
			fill();
			break;
		case ORDER_USE:
			use();
			break;
		case ORDER_READ:
			read_some(guest.arg);
			break;
		case ORDER_CHANGE:
			change();
			break;
		case ORDER_TOUCH:
			touch();
			break;
		case ORDER_GROW:
			grow(guest.arg);
			break;
		case ORDER_CHECK:
			check();
			break;
		}
		GUEST_SYNC2(1, guest.result, 0);
	}
}

/* -- the VMM's half ------------------------------------------------------------- */

static u32 newest_object(struct layout *l)
{
	static struct nl_object list[64];
	int i, n = nl_objects(l->nl, list, ARRAY_SIZE(list));
	u32 id = 0;

	CHECK_MSG(n > 0 && n <= (int)ARRAY_SIZE(list), "objects: %d %s", n, l->nl->text);
	for (i = 0; i < n; i++)
		if (list[i].a[EMYS_A_OBJECT_ID] > id)
			id = list[i].a[EMYS_A_OBJECT_ID];
	return id;
}

static void make_area(struct layout *l, enum area area)
{
	u64 size = l->blocks[area] * BLOCK;
	void *p;

	l->fd[area] = open("/dev/emys-mem", O_RDWR | O_CLOEXEC);
	CHECK_MSG(l->fd[area] >= 0, "/dev/emys-mem: %s", strerror(errno));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, l->fd[area], 0);
	CHECK_MSG(p != MAP_FAILED, "mmap: %s", strerror(errno));
	l->mem[area] = p;
	l->object[area] = newest_object(l);
	vm_region(l->vm, 1 + area, 0, AREA_GPA(area), size, p);
}

static u32 domain(struct layout *l)
{
	struct nl_vm vm;
	int r = nl_vm_get(l->nl, l->id, &vm);

	CHECK_MSG(!r, "VM %u: %d %s", l->id, r, l->nl->text);
	return vm.a[EMYS_A_VM_DOMAIN];
}

void layout_dedup_policy(struct layout *l, u32 field, u64 value)
{
	int r = nl_domain_policy(l->nl, domain(l), field, value);

	CHECK_MSG(!r, "deduplication, policy %u: %d %s", field, r, l->nl->text);
}

void layout_make(struct layout *l)
{
	enum area area;

	REQUIRE(ksft_is_emys(), "not emys");
	l->nl = nl_open();
	layout_policy(l, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, 3600000);
	layout_policy(l, EMYS_A_RECLAIM_POLICY_COLD_SAMPLES, 3);
	layout_no_pressure(l);
	l->vm = vm_create();
	l->vcpu = vcpu_add(l->vm, 0);
	l->id = nl_my_vm(l->nl, 0);
	for (area = HOT; area < AREAS; area++) {
		if (l->blocks[area])
			make_area(l, area);
		guest.blocks[area] = l->blocks[area];
		VM_VAR(l->vm, guest).blocks[area] = l->blocks[area];
	}
	layout_dedup_policy(l, EMYS_A_DEDUP_POLICY_RUN, 1);
	guest.hot_same = l->hot_same;
	VM_VAR(l->vm, guest).hot_same = l->hot_same;
	vcpu_call(l->vcpu, guest_main, 0);
	layout_do(l, ORDER_FILL, 0);
}

void layout_free(struct layout *l)
{
	enum area area;

	vm_free(l->vm);
	for (area = HOT; area < AREAS; area++)
		if (l->mem[area]) {
			munmap(l->mem[area], l->blocks[area] * BLOCK);
			close(l->fd[area]);
		}
	nl_close(l->nl);
}

void layout_do(struct layout *l, enum order order, u64 arg)
{
	VM_VAR(l->vm, guest).order = order;
	VM_VAR(l->vm, guest).arg = arg;
	vcpu_sync(l->vcpu, 1);
	l->result = l->vcpu->uc.arg[1];
}

void layout_check(struct layout *l)
{
	bool changed = VM_VAR(l->vm, guest).changed, touched = VM_VAR(l->vm, guest).touched;
	const volatile u64 *bad;
	enum area area;
	u64 i;

	layout_do(l, ORDER_CHECK, 0);
	for (area = HOT; area < GROW; area++)
		for (i = 0; i < pages(area); i++) {
			bad = check_page((u64 *)(l->mem[area] + i * 4096), area, i, changed,
					 touched);
			CHECK_MSG(!bad, "area %d, page %llu: word %llu is %llx", area,
				  (unsigned long long)i,
				  (unsigned long long)((u64)bad / 8 % WORDS),
				  (unsigned long long)*bad);
		}
}

u64 layout_count(struct layout *l, enum area area, u32 count)
{
	struct nl_object object;
	int r = nl_object_get(l->nl, l->object[area], &object);

	CHECK_MSG(!r, "object %u: %d %s", l->object[area], r, l->nl->text);
	return object.counts[count];
}

u64 layout_counts(struct layout *l, u32 count)
{
	enum area area;
	u64 sum = 0;

	for (area = HOT; area < AREAS; area++)
		if (l->object[area])
			sum += layout_count(l, area, count);
	return sum;
}

static struct nl_module *module(struct layout *l)
{
	static struct nl_module m;
	int r = nl_module_get(l->nl, &m);

	CHECK_MSG(!r, "module: %d %s", r, l->nl->text);
	return &m;
}

u64 layout_stat(struct layout *l, u32 stat)
{
	return module(l)->stats[stat];
}

u64 layout_broken(struct layout *l, u32 state)
{
	return module(l)->broken[EMYS_A_BY_STATE_HIGH + state];
}

void layout_policy(struct layout *l, u32 field, u64 value)
{
	int r = nl_reclaim_policy(l->nl, field, value);

	CHECK_MSG(!r, "policy %u: %d %s", field, r, l->nl->text);
}

void layout_rounds(struct layout *l, u32 n)
{
	int r;

	for (; n; n--) {
		if (l->blocks[HOT])
			layout_do(l, ORDER_USE, 0);
		r = nl_round(l->nl);
		CHECK_MSG(!r, "round: %d %s", r, l->nl->text);
	}
}

void layout_dedup(struct layout *l, u32 n)
{
	int r = nl_scan(l->nl, domain(l), n);

	CHECK_MSG(!r, "scan: %d %s", r, l->nl->text);
}

void layout_pressure(struct layout *l, u64 free)
{
	layout_policy(l, EMYS_A_RECLAIM_POLICY_MIN_FREE, 1024);
	layout_policy(l, EMYS_A_RECLAIM_POLICY_BUDGET,
		      layout_stat(l, EMYS_A_RECLAIM_STATS_USED) + free);
}

void layout_no_pressure(struct layout *l)
{
	/* Of the emulated host's free memory too little is asked to matter */
	layout_policy(l, EMYS_A_RECLAIM_POLICY_MIN_FREE, 1024);
	layout_policy(l, EMYS_A_RECLAIM_POLICY_BUDGET, 0);
}
