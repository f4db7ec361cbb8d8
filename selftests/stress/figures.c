// SPDX-License-Identifier: GPL-2.0-only
/* stress/figures: what netlink, and so vmctl mem, says about memory, worked out anew */

/*
 * Three VMs, two of them in one domain, go through every state a page can be in. After each step
 * each figure is compared with
 *
 *  - what the module's walk of its pages (debugfs emys/objects) adds up to, and how that differs
 *    from the walk before;
 *  - the frames that the host's kernel has in the page tables of this process (/proc/self/pagemap),
 *    which knows nothing of the module's states;
 *  - /proc/meminfo.
 */
#include <ctype.h>

#include "../mem/objects.h"
#include "nl.h"

#define AT	0x10000000ull
#define DOMAIN	11
#define VMS	3
#define PAGES	4096u			/* of a VM */
#define SIZE	(PAGES * 4096ull)
#define BLOCK	0x200000ull
#define SLACK	384			/* pages of tables and vmalloc, and of counts that lag */
#define FRAMES	(8u << 20)		/* of the host, 32 GiB */

struct machine {
	struct vm *vm;
	int fd;
	u8 *mem;
	u32 id, object;
	int read;			/* a guest has just read all */
	struct object now;
};

/* Of a set of objects, by the walk */
struct sums {
	u64 state[STATES], blocks, frames, stable, absent;
	u64 made, broken, collapsed, kept, merged, zeroed, copied, unshared, punched, refaulted;
};

static struct machine machines[VMS];
static struct nl *nl;

static void add(struct sums *s, const struct object *o)
{
	unsigned int i;

	for (i = 0; i < STATES; i++)
		s->state[i] += o->state[i];
	s->absent += o->state[ABSENT];
	s->blocks += o->blocks;
	s->made += o->made;
	s->broken += o->broken;
	s->collapsed += o->collapsed;
	s->kept += o->kept;
	s->merged += o->merged;
	s->zeroed += o->zeroed;
	s->copied += o->copied;
	s->unshared += o->unshared;
	s->punched += o->punched;
	s->refaulted += o->refaulted;
}

/* Zeroed; not of the heap and without the huge page of zeros, which the host would not get back. */
static void *scratch(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK_OK(madvise(p, size, MADV_NOHUGEPAGE));
	return p;
}

/* Different frames of all objects, and of them the shared ones, of one domain or (0) of all. */
static u64 frames(u32 domain, int shared_only)
{
	u8 *seen = scratch(FRAMES);
	u64 n = 0, index, count, frame, i, in = 0;
	char line[1024], state[16];
	FILE *f = objects_open();
	u32 nr;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "object %u ", &nr) == 1)
			in = !domain || object_field(line, "domain") == domain;
		if (!in || sscanf(line, "pages %u %llu %llu %15s %llu", &nr,
				  (unsigned long long *)&index, (unsigned long long *)&count, state,
				  (unsigned long long *)&frame) != 5 || !frame)
			continue;
		if (shared_only && strcmp(state, "shared"))
			continue;
		for (i = frame; i < frame + count; i++) {
			CHECK(i < FRAMES);
			n += !seen[i];
			seen[i] = 1;
		}
	}
	fclose(f);
	munmap(seen, FRAMES);
	return n;
}

static void check_counts(const u64 *c, const struct sums *s, u64 saved)
{
	CHECK_EQ(c[EMYS_A_COUNTS_RESIDENT], s->state[PRIVATE] + s->state[SHARED]);
	CHECK_EQ(c[EMYS_A_COUNTS_PRIVATE], s->state[PRIVATE]);
	CHECK_EQ(c[EMYS_A_COUNTS_SHARED], s->state[SHARED]);
	CHECK_EQ(c[EMYS_A_COUNTS_ZERO], s->state[ZERO]);
	CHECK_EQ(c[EMYS_A_COUNTS_BALLOONED], s->state[BALLOONED]);
	CHECK_EQ(c[EMYS_A_COUNTS_ABSENT], s->absent);
	CHECK_EQ(c[EMYS_A_COUNTS_SAVED], saved);
	CHECK_EQ(c[EMYS_A_COUNTS_BLOCKS], s->blocks);
	CHECK_EQ(c[EMYS_A_COUNTS_MADE], s->made);
	CHECK_EQ(c[EMYS_A_COUNTS_BROKEN], s->broken);
	CHECK_EQ(c[EMYS_A_COUNTS_COLLAPSED], s->collapsed);
	CHECK_EQ(c[EMYS_A_COUNTS_KEPT], s->kept);
	CHECK_EQ(c[EMYS_A_COUNTS_MERGED], s->merged);
	CHECK_EQ(c[EMYS_A_COUNTS_ZEROED], s->zeroed);
	CHECK_EQ(c[EMYS_A_COUNTS_COPIED], s->copied);
	CHECK_EQ(c[EMYS_A_COUNTS_UNSHARED], s->unshared);
	CHECK_EQ(c[EMYS_A_COUNTS_PUNCHED], s->punched);
	CHECK_EQ(c[EMYS_A_COUNTS_REFAULTED], s->refaulted);
}

static void guest_read(u64 n)
{
	u64 page;

	for (page = 0; page < n; page++)
		*(volatile u64 *)(AT + page * 4096);
}

static u64 in_domain(const struct machine *m)
{
	return m - machines < 2;
}

/* Nothing is mapped where no guest ran. Where one has read all, all that is there; and of slot 0 some. */
static void check_leaves(const struct machine *m, const struct nl_vm *vm)
{
	u64 large = vm->a[EMYS_A_VM_LEAVES_LARGE], small = vm->a[EMYS_A_VM_LEAVES_SMALL];
	u64 blocks = m->now.blocks, others = m->now.state[PRIVATE] - blocks * 512;

	if (!m->vm->nr_vcpus) {
		CHECK_EQ(large, 0);
		CHECK_EQ(small, 0);
	} else if (m->read) {
		CHECK(large >= blocks && large <= blocks + VM_MEM / BLOCK);
		CHECK(small >= others && small <= others + VM_MEM / 4096);
		CHECK(vm->a[EMYS_A_VM_TABLES]);
	}
}

/* All there is to be asked, against the module's walk. */
static void check_walk(void)
{
	struct sums pair = { 0 }, one;
	struct nl_module mod;
	struct nl_object object;
	struct nl_domain domain;
	struct nl_vm vm;
	u64 stable = frames(DOMAIN, 1), n, d;
	struct machine *m;

	for (m = machines; m < machines + VMS; m++) {
		CHECK(object_read(m->object, &m->now));
		if (in_domain(m))
			add(&pair, &m->now);
	}
	for (m = machines; m < machines + VMS; m++) {
		one = (struct sums){ 0 };
		add(&one, &m->now);
		n = in_domain(m) ? one.state[SHARED] * stable : 0;
		d = in_domain(m) ? pair.state[SHARED] : 0;
		if (!in_domain(m) && one.state[SHARED]) {
			n = one.state[SHARED] * frames(m->now.domain, 1);
			d = one.state[SHARED];
		}
		CHECK_EQ(nl_vm_get(nl, m->id, &vm), 0);
		CHECK_EQ(vm.a[EMYS_A_VM_ID], m->id);
		CHECK_EQ(vm.a[EMYS_A_VM_PID], (u64)getpid());
		CHECK_EQ(vm.a[EMYS_A_VM_UID], (u64)getuid());
		CHECK_EQ(vm.a[EMYS_A_VM_DOMAIN], m->now.domain);
		check_counts(vm.counts, &one,
			     one.state[ZERO] + (d ? (one.state[SHARED] * d - n) / d : 0));
		CHECK_EQ(vm.balloon[EMYS_A_BALLOON_ACTUAL], PAGES - one.state[BALLOONED]);
		check_leaves(m, &vm);
		CHECK_EQ(nl_object_get(nl, m->object, &object), 0);
		CHECK_EQ(object.a[EMYS_A_OBJECT_END], m->now.end);
		CHECK_EQ(object.a[EMYS_A_OBJECT_DOMAIN], m->now.domain);
		CHECK_EQ(object.counts[EMYS_A_COUNTS_PRIVATE], one.state[PRIVATE]);
		CHECK_EQ(object.counts[EMYS_A_COUNTS_SHARED], one.state[SHARED]);
	}
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &domain), 0);
	CHECK_EQ(domain.a[EMYS_A_DOMAIN_VMS], 2);
	CHECK_EQ(domain.stats[EMYS_A_DEDUP_STATS_STABLE], stable);
	CHECK_EQ(domain.stats[EMYS_A_DEDUP_STATS_SHARING], pair.state[SHARED]);
	check_counts(domain.counts, &pair, pair.state[SHARED] - stable + pair.state[ZERO]);
	CHECK_EQ(nl_module_get(nl, &mod), 0);
	CHECK_EQ(mod.a[EMYS_A_MODULE_PAGES], frames(0, 0));
	CHECK_EQ(mod.a[EMYS_A_MODULE_SHARED], frames(0, 1));
	CHECK_EQ(mod.a[EMYS_A_MODULE_VMS], VMS);
	CHECK_EQ(module_stat("pages"), mod.a[EMYS_A_MODULE_PAGES]);
}

/* -- by the page tables of the host ------------------------------------------------ */

#define PM_PRESENT	(1ull << 63)
#define PM_FRAME	((1ull << 55) - 1)

/* The frame at each page of the machine, 0 where nothing is mapped. */
static void read_frames(const struct machine *m, u64 *frame)
{
	FILE *f = fopen("/proc/self/pagemap", "r");
	u64 i;

	CHECK(f && !fseek(f, (uintptr_t)m->mem / 4096 * 8, SEEK_SET));
	CHECK_EQ(fread(frame, 8, PAGES, f), PAGES);
	fclose(f);
	for (i = 0; i < PAGES; i++)
		frame[i] = frame[i] & PM_PRESENT ? frame[i] & PM_FRAME : 0;
}

/* Map what is there for reading, which changes no page's state; what is not there stays away. */
static void map_all(struct machine *m)
{
	char line[1024], state[16];
	u64 index, count, i;
	FILE *f = objects_open();
	u32 nr;

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "pages %u %llu %llu %15s", &nr, (unsigned long long *)&index,
			   (unsigned long long *)&count, state) == 4 && nr == m->object &&
		    strcmp(state, "ballooned") && strcmp(state, "absent"))
			for (i = index; i < index + count; i++)
				*(volatile u8 *)(m->mem + i * 4096);
	fclose(f);
}

/* The one frame that holds zeros and is mapped more than once: a page dropped for its zeros is there. */
static u64 zero_frame(u64 (*frame)[PAGES], const u16 *mapped)
{
	u64 i, m, zero = 0;

	for (m = 0; m < VMS; m++)
		for (i = 0; i < PAGES; i++) {
			if (!frame[m][i] || mapped[frame[m][i]] < 2 ||
			    *(volatile u64 *)(machines[m].mem + i * 4096))
				continue;
			CHECK(!zero || zero == frame[m][i]);
			zero = frame[m][i];
		}
	return zero;
}

static void check_pagemap(void)
{
	static u64 frame[VMS][PAGES];
	/* how often a frame is mapped, by all machines */
	u16 *mapped = scratch(FRAMES * sizeof(*mapped));
	struct nl_vm vm;
	struct nl_module mod;
	struct nl_domain domain;
	u64 distinct = 0, shared = 0, pair = 0, pair_distinct = 0, zero, i, m, resident, zeros;

	for (m = 0; m < VMS; m++) {
		map_all(&machines[m]);
		read_frames(&machines[m], frame[m]);
		for (i = 0; i < PAGES; i++) {
			CHECK(frame[m][i] < FRAMES);
			if (frame[m][i])
				mapped[frame[m][i]]++;
		}
	}
	zero = zero_frame(frame, mapped);
	for (m = 0; m < VMS; m++) {
		for (i = resident = zeros = 0; i < PAGES; i++) {
			u64 at = frame[m][i];

			resident += at && at != zero;
			zeros += at && at == zero;
			pair += at && m < 2;
			/* counted where it is seen first */
			if (!at || at == zero || !mapped[at])
				continue;
			distinct++;
			pair_distinct += m < 2;
			shared += mapped[at] > 1;
			mapped[at] = 0;
		}
		CHECK_EQ(nl_vm_get(nl, machines[m].id, &vm), 0);
		CHECK_EQ(vm.counts[EMYS_A_COUNTS_RESIDENT], resident);
		CHECK_EQ(vm.counts[EMYS_A_COUNTS_ZERO], zeros);
		CHECK_EQ(vm.counts[EMYS_A_COUNTS_BALLOONED] + vm.counts[EMYS_A_COUNTS_ABSENT],
			 PAGES - resident - zeros);
	}
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &domain), 0);
	CHECK_EQ(domain.counts[EMYS_A_COUNTS_SAVED], pair - pair_distinct);
	CHECK_EQ(nl_module_get(nl, &mod), 0);
	CHECK_EQ(mod.a[EMYS_A_MODULE_PAGES], distinct);
	/* A shared page may have lost all users but one */
	CHECK(mod.a[EMYS_A_MODULE_SHARED] >= shared);
	munmap(mapped, FRAMES * sizeof(*mapped));
	ksft_print("%llu frames, %llu of them shared, %llu pages saved",
		   (unsigned long long)distinct, (unsigned long long)shared,
		   (unsigned long long)(pair - pair_distinct));
}

/* -- by vmctl ----------------------------------------------------------------------- */

/* What follows @key in the JSON object at @text, which has no blanks; not in what is nested in it. */
static const char *json_value(const char *text, const char *key)
{
	char quoted[32];
	int depth = 0;

	CHECK_MSG(text && *text == '{', "vmctl: no object with %s", key);
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	do {
		depth += (*text == '{' || *text == '[') - (*text == '}' || *text == ']');
		if (depth == 1 && !strncmp(text, quoted, strlen(quoted)))
			return text + strlen(quoted);
	} while (depth && *++text);
	FAIL("vmctl says no %s", key);
}

/* Behind the object at @text */
static const char *json_end(const char *text)
{
	int depth = 0;

	do
		depth += (*text == '{' || *text == '[') - (*text == '}' || *text == ']');
	while (*text++ && depth);
	return text;
}

static u64 json_number(const char *text, const char *key)
{
	return strtoull(json_value(text, key), NULL, 10);
}

/* vmctl mem --json shows what netlink says. */
static void check_vmctl(void)
{
	static const struct {
		const char *key;
		unsigned int count;
	} keys[] = {
		{ "resident", EMYS_A_COUNTS_RESIDENT }, { "private", EMYS_A_COUNTS_PRIVATE },
		{ "shared", EMYS_A_COUNTS_SHARED }, { "zero", EMYS_A_COUNTS_ZERO },
		{ "ballooned", EMYS_A_COUNTS_BALLOONED }, { "absent", EMYS_A_COUNTS_ABSENT },
		{ "saved", EMYS_A_COUNTS_SAVED }, { "blocks", EMYS_A_COUNTS_BLOCKS },
		{ "made", EMYS_A_COUNTS_MADE }, { "broken", EMYS_A_COUNTS_BROKEN },
		{ "collapsed", EMYS_A_COUNTS_COLLAPSED }, { "kept", EMYS_A_COUNTS_KEPT },
		{ "merged", EMYS_A_COUNTS_MERGED }, { "zeroed", EMYS_A_COUNTS_ZEROED },
		{ "copied", EMYS_A_COUNTS_COPIED }, { "unshared", EMYS_A_COUNTS_UNSHARED },
		{ "punched", EMYS_A_COUNTS_PUNCHED }, { "refaulted", EMYS_A_COUNTS_REFAULTED },
	};
	static char text[65536];
	FILE *f = popen("vmctl mem --json", "r");
	char *from = text, *to = text;
	const char *vms, *counts;
	struct nl_module mod;
	struct nl_vm vm;
	unsigned int i, k;
	size_t n;

	CHECK(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	CHECK_MSG(!pclose(f) && n, "vmctl mem --json");
	for (text[n] = '\0'; *from; from++)
		if (!isspace((unsigned char)*from))
			*to++ = *from;
	*to = '\0';
	CHECK_EQ(nl_module_get(nl, &mod), 0);
	CHECK_EQ(json_number(json_value(text, "module"), "pages"), mod.a[EMYS_A_MODULE_PAGES]);
	CHECK_EQ(json_number(json_value(text, "module"), "shared"), mod.a[EMYS_A_MODULE_SHARED]);
	vms = json_value(text, "vms");
	CHECK(*vms++ == '[');
	/* by id, as dumps go */
	for (i = 0; i < VMS; i++) {
		CHECK_EQ(nl_vm_get(nl, machines[i].id, &vm), 0);
		CHECK_EQ(json_number(vms, "id"), machines[i].id);
		CHECK_EQ(json_number(vms, "domain"), vm.a[EMYS_A_VM_DOMAIN]);
		counts = json_value(vms, "counts");
		for (k = 0; k < ARRAY_SIZE(keys); k++)
			CHECK_MSG(json_number(counts, keys[k].key) == vm.counts[keys[k].count],
				  "VM %u: vmctl says %s is %llu, netlink %llu", machines[i].id,
				  keys[k].key,
				  (unsigned long long)json_number(counts, keys[k].key),
				  (unsigned long long)vm.counts[keys[k].count]);
		vms = json_end(vms);
		CHECK(*vms++ == (i < VMS - 1 ? ',' : ']'));
	}
}

/* -- by the host's own account ---------------------------------------------------------- */

/* Pages that lie in the CPUs' lists: neither free by /proc/meminfo nor anybody's. */
static s64 in_lists(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	unsigned long long n, sum = 0;
	char line[256];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %llu", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

/* Pages of the host that the kernel knows the use of; a module's are none of these. */
static s64 mem_known(void)
{
	static const char * const known[] = {
		"MemFree", "Buffers", "Cached", "AnonPages", "Slab", "KernelStack", "PageTables",
		"Percpu",
	};
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], name[64];
	unsigned long long kb;
	s64 sum = 0;
	unsigned int i;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (sscanf(line, "%63[^:]: %llu", name, &kb) == 2 && !strcmp(name, known[i]))
				sum += kb / 4;
	fclose(f);
	return sum + in_lists();
}

/* The same when what the kernel frees later has been freed. */
static s64 host_known(void)
{
	s64 was = 0, now = mem_known();
	unsigned int i;

	for (i = 0; i < 50 && (now > was + 32 || was > now + 32); i++) {
		usleep(50000);
		was = now;
		now = mem_known();
	}
	return now;
}

/* What nobody is known to use went up as the module's count says, but for its tables. */
static void check_host(s64 known, s64 pages)
{
	s64 used = known - host_known(), count = (s64)module_stat("pages") - pages;

	ksft_print("module %lld pages more, by the host %lld", (long long)count, (long long)used);
	CHECK_MSG(used - count > -SLACK && used - count < SLACK, "differ by %lld pages",
		  (long long)(used - count));
}

static void check_all(void)
{
	check_walk();
	check_pagemap();
	check_walk();
	check_vmctl();
}

/* Alike in both VMs and within each, zeros, and different ones. */
static void fill(struct machine *m, u64 first, u64 n, u64 turn)
{
	u64 page, i, *p;

	for (page = first; page < first + n; page++) {
		p = (u64 *)(m->mem + page * 4096);
		for (i = 0; i < 512; i++)
			p[i] = page % 4 == 0 ? 0 : page % 4 == 1 ? 7 + turn :
			       page % 4 == 2 ? page << 20 | i : (page << 20 | i) + m->id + (turn << 8);
	}
}

static void begin(struct machine *m)
{
	m->fd = object_open();
	m->object = object_newest();
	m->mem = object_map(m->fd, SIZE);
	m->vm = vm_create();
	vm_region(m->vm, 1, 0, AT, SIZE, m->mem);
	m->id = nl_my_vm(nl, m - machines);
	if (in_domain(m))
		CHECK_EQ(nl_vm_domain(nl, m->id, DOMAIN), 0);
	/* Nothing happens by itself. */
	CHECK_EQ(nl_vm_large(nl, m->id, in_domain(m) ? EMYS_LARGE_POLICY_SMALL :
			     EMYS_LARGE_POLICY_NEVER), 0);
	CHECK_EQ(nl_domain_policy(nl, in_domain(m) ? DOMAIN : 1u << 31 | m->id,
				  EMYS_A_DEDUP_POLICY_RUN, 0), 0);
}

static void scan(void)
{
	struct nl_domain d;
	int rc = nl_scan(nl, DOMAIN, 3);

	CHECK_MSG(!rc, "scan: %s %s", strerror(-rc), nl->text);
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &d), 0);
	ksft_print("scanned %llu compared %llu merged %llu zeroed %llu refused %llu raced %llu",
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_SCANNED],
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_COMPARED],
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_MERGED],
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_ZEROED],
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_REFUSED],
		   (unsigned long long)d.stats[EMYS_A_DEDUP_STATS_RACED]);
}

static void test_figures(void)
{
	struct object was[2];
	s64 known, pages;
	unsigned int i;

	nl = nl_open();
	CHECK_EQ(nl_domain_create(nl, DOMAIN), 0);
	for (i = 0; i < VMS; i++)
		begin(&machines[i]);
	check_all();

	/* What the guest has for itself, the kernel's huge page of zeros among it, is there first */
	vcpu_call(vcpu_add(machines[2].vm, 0), guest_read, 0);
	vcpu_done(machines[2].vm->vcpu[0]);

	/* touched: blocks where they fit */
	known = host_known();
	pages = module_stat("pages");
	for (i = 0; i < VMS; i++)
		fill(&machines[i], 0, PAGES - 100, 0);
	vcpu_call(machines[2].vm->vcpu[0], guest_read, PAGES - 100);
	vcpu_done(machines[2].vm->vcpu[0]);
	machines[2].read = 1;
	check_all();
	machines[2].read = 0;
	check_host(known, pages);
	CHECK(!machines[0].now.blocks && machines[2].now.blocks);

	/* merged, dropped */
	scan();
	check_all();
	CHECK(machines[0].now.state[SHARED] > PAGES / 3 && machines[0].now.state[ZERO] > PAGES / 5);
	CHECK_EQ(machines[0].now.merged, machines[0].now.state[SHARED]);
	CHECK_EQ(machines[0].now.zeroed, machines[0].now.state[ZERO]);
	CHECK_EQ(machines[2].now.merged, 0);
	check_host(known, pages);

	/* written: copies */
	for (i = 0; i < 2; i++)
		was[i] = machines[i].now;
	for (i = 0; i < 2; i++)
		fill(&machines[i], 400, 200, 1);
	check_all();
	for (i = 0; i < 2; i++)
		CHECK_EQ(machines[i].now.copied - was[i].copied,
			 was[i].state[SHARED] + was[i].state[ZERO] -
			 machines[i].now.state[SHARED] - machines[i].now.state[ZERO]);
	CHECK(machines[0].now.copied >= 150);

	/* given away, of all kinds, and touched again */
	for (i = 0; i < VMS; i++) {
		was[0] = machines[i].now;
		CHECK_OK(madvise(machines[i].mem + 1000 * 4096, 700 * 4096, MADV_REMOVE));
		check_all();
		CHECK_EQ(machines[i].now.state[BALLOONED] - was[0].state[BALLOONED], 700);
		CHECK_EQ(machines[i].now.punched - was[0].punched, 700);
	}
	check_host(known, pages);
	for (i = 0; i < VMS; i++)
		fill(&machines[i], 1100, 50, 2);
	check_all();
	CHECK_EQ(machines[2].now.refaulted, 700 - machines[2].now.state[BALLOONED]);
	CHECK(machines[2].now.refaulted >= 50);

	/* out of the domain: nothing is shared */
	for (i = 0; i < 2; i++)
		CHECK_EQ(nl_vm_domain(nl, machines[i].id, 0), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(nl_vm_domain(nl, machines[i].id, DOMAIN), 0);
	check_all();
	CHECK_EQ(machines[0].now.state[SHARED], 0);
	check_host(known, pages);

	for (i = 0; i < VMS; i++) {
		munmap(machines[i].mem, SIZE);
		close(machines[i].fd);
		vm_free(machines[i].vm);
	}
	for (i = 0; i < 200 && module_stat("pages") != (u64)pages; i++)
		usleep(10000);
	CHECK_EQ(module_stat("pages"), (u64)pages);
	check_host(known, pages);
}

KSFT_MAIN(
	{ "figures: netlink says what the walk and the host say", test_figures, 300 },
)
