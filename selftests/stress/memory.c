// SPDX-License-Identifier: GPL-2.0-only
/* stress/memory: guests that check every byte while their memory is worked on from all sides */

/*
 * Two VMs, one with two vCPUs, run from owned memory wholly: their code and tables, and MEMORY more.
 * Each visit of a page checks all of it, then writes it anew one time in four. Contents are such
 * that much is alike, in a VM and between them, for a while. Meanwhile the host
 *
 *  - scans the domain without a pause, by each of the algorithms;
 *  - changes the VMs' policy for large pages, which breaks and collapses them, and the budget, which
 *    makes pressure come and go; now and then it halts the scans, writes to every page of a region, so
 *    that none is shared, and lets it collapse;
 *  - takes ranges of pages that the guest has handed over, and the guest finds zeros there (a
 *    balloon that swings);
 *  - reads, checks and writes pages through its own mapping, as a device would;
 *  - touches memory of its own and frees it.
 *
 * The VMM is one that knows nothing of emys but the name of a file to map, as QEMU is: the device
 * for one VM, whose pages go by madvise(); for the other a file of a mounted emys-mem, whose pages go
 * by fallocate(). $EMYS_STRESS is the least time for each algorithm, in seconds of the host (1); a case
 * goes on until everything has been done a few times.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nl.h"
#include "vmm.h"

#define AT	0x10000000ull
#define PAGES	2048u
#define MEMORY	(PAGES * 4096ull)
#define QUARTER	128u			/* words */
#define DOMAIN	7
#define VMS	2
#define HOG	(48ull << 20)

/* A page is the guest's, but for what is asked for, granted, and done. */
enum { OURS, ASK_PUNCH, PUNCH, PUNCHED, ASK_WRITE, WRITE, WRITTEN };

/* In the guests' own copies of these. */
static volatile u8 want[PAGES];
static volatile u32 version[PAGES];	/* 0: never written, zeros */
static volatile u32 stop, vcpus, salt;
static volatile u64 visits[2], writes[2];

/* In a version, word i of a quarter of a page holds first + i * step. */
static u64 first_word(u64 page, u32 v, u32 quarter, u32 own)
{
	u64 key = (page / 8 + 1) << 20, i = quarter * QUARTER;

	if (!v)
		return 0;
	switch (page % 8) {
	case 0:
	case 1:
		return key + (v % 4) * 0x10001 + i;
	case 2:
		return v % 2 ? 0 : key + i;
	case 3:
		return (v % 2 + 1) * 0x100000001ull;
	case 4:
	case 5:
		return key + i + (quarter == page / 8 % 4 ? v * 0x1000001ull : 0);
	case 6:
		return (key + i) ^ (u64)own << 56 ^ (u64)v << 40;
	default:
		return ~key - i;
	}
}

static u64 step(u64 page, u32 v)
{
	if (!v || page % 8 == 3 || (page % 8 == 2 && v % 2))
		return 0;
	return page % 8 == 7 ? -1ull : 1;
}

static void fill(volatile u64 *p, u64 page, u32 v, u32 own)
{
	u64 by = step(page, v), w;
	u32 quarter, i;

	for (quarter = 0; quarter < 4; quarter++, p += QUARTER)
		for (i = 0, w = first_word(page, v, quarter, own); i < QUARTER; i++, w += by)
			p[i] = w;
}

/* The first word that is wrong, or QUARTER * 4; what it should be goes to @want_word. */
static u32 look(volatile u64 *p, u64 page, u32 v, u32 own, u64 *want_word)
{
	u64 by = step(page, v), w;
	u32 quarter, i;

	for (quarter = 0; quarter < 4; quarter++, p += QUARTER)
		for (i = 0, w = first_word(page, v, quarter, own); i < QUARTER; i++, w += by)
			if (p[i] != w) {
				*want_word = w;
				return quarter * QUARTER + i;
			}
	return QUARTER * 4;
}

static void guest_check(u64 page, u32 v, u32 own)
{
	volatile u64 *p = (u64 *)(AT + page * 4096);
	u64 w;
	u32 i = look(p, page, v, own, &w);

	if (i < QUARTER * 4)
		ucall(UCALL_ASSERT, (uintptr_t)"a page holds what was written to it",
		      (uintptr_t)__FILE__, page << 32 | v << 16 | i, p[i], w);
}

static void guest_visit(u64 page, u32 random, u64 id)
{
	volatile u64 *p = (u64 *)(AT + page * 4096);
	u32 v = version[page], own = salt;

	switch (want[page]) {
	case OURS:
		guest_check(page, v, own);
		visits[id]++;
		if (random % 4 || (page % 8 == 7 && v))
			return;
		version[page] = ++v;
		fill(p, page, v, own);
		writes[id]++;
		return;
	case ASK_PUNCH:
		want[page] = PUNCH;
		return;
	case PUNCHED:
		version[page] = 0;
		guest_check(page, 0, own);
		want[page] = OURS;
		return;
	case ASK_WRITE:
		want[page] = WRITE;
		return;
	case WRITTEN:
		guest_check(page, v, own);
		want[page] = OURS;
		return;
	}
}

static void guest_work(u64 id)
{
	u64 random = id + salt * 77 + 1, n = vcpus, at = id, i;

	while (!stop) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		guest_visit((random >> 33) % (PAGES / n) * n + id, random >> 20, id);
		/* What the host waits for comes first. */
		for (i = 0; i < 256; i++) {
			if (want[at] != OURS)
				guest_visit(at, 0, id);
			at = at + n < PAGES ? at + n : id;
		}
	}
}

struct machine {
	struct vm *vm;
	u8 *mem;
	int fd;			/* the object of mem */
	int named;		/* it is a file of the mounted file system */
	u32 id;			/* netlink's */
	u64 punched, written;
	pthread_t balloon, writer, vcpu[2];
};

static struct machine machines[VMS];
static volatile int over, hold, idle;	/* the scanner shall do nothing, and does nothing */
static u64 scans, rounds;

static char directory[40];

/* A file with memory of the module's: without a name, or with one that goes at once. */
static int object(int named)
{
	char path[64] = "/dev/emys-mem";
	int fd;

	if (named)
		snprintf(path, sizeof(path), "%s/ram", directory);
	fd = open(path, O_RDWR | O_CLOEXEC | (named ? O_CREAT : 0), 0600);
	CHECK_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	if (named) {
		CHECK_OK(ftruncate(fd, MEMORY));
		CHECK_OK(unlink(path));
	}
	return fd;
}

static void *map(int fd, u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK_MSG(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

static void nap_us(unsigned int us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

static void host_check(struct machine *m, u64 page)
{
	volatile u64 *p = (u64 *)(m->mem + page * 4096);
	u32 v = VM_VAR(m->vm, version[page]), i;
	u64 w;

	i = look(p, page, v, VM_VAR(m->vm, salt), &w);
	CHECK_MSG(i == QUARTER * 4, "VM %u page %llu version %u word %u: 0x%llx, not 0x%llx", m->id,
		  (unsigned long long)page, v, i, (unsigned long long)p[i], (unsigned long long)w);
}

/* Ask for a range, and wait until the guest has let go of all of it. 0: it is over. */
static int obtain(struct machine *m, u64 first, u64 n, u8 ask)
{
	u64 i;

	for (i = 0; i < n; i++)
		if (VM_VAR(m->vm, want[first + i]) == OURS)
			VM_VAR(m->vm, want[first + i]) = ask;
	for (i = 0; i < n && !over; i++)
		while (VM_VAR(m->vm, want[first + i]) != ask + 1 && !over) {
			nap_us(500);
			/* It had yet to be taken back, from before. */
			if (VM_VAR(m->vm, want[first + i]) == OURS)
				VM_VAR(m->vm, want[first + i]) = ask;
		}
	return !over;
}

/* The balloon has the lower part of the pages, the device the upper one. */
static void *balloon(void *arg)
{
	struct machine *m = arg;
	unsigned int seed = m->id, n, first, i;

	while (!over) {
		n = rand_r(&seed) % 8 ? 1 + rand_r(&seed) % 48 : 512;
		first = rand_r(&seed) % (PAGES * 3 / 4 - n);
		if (n == 512)
			first &= ~511u;
		if (!obtain(m, first, n, ASK_PUNCH))
			break;
		if (m->named)
			CHECK_OK(fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   first * 4096ull, n * 4096ull));
		else
			CHECK_OK(madvise(m->mem + first * 4096ull, n * 4096ull, MADV_REMOVE));
		if (rand_r(&seed) % 4 == 0)
			CHECK_EQ(*(volatile u64 *)(m->mem + (first + n / 2) * 4096ull), 0);
		for (i = 0; i < n; i++) {
			VM_VAR(m->vm, version[first + i]) = 0;
			VM_VAR(m->vm, want[first + i]) = PUNCHED;
		}
		m->punched += n;
		nap_us(20000);
	}
	return NULL;
}

static void *writer(void *arg)
{
	struct machine *m = arg;
	unsigned int seed = m->id + 100, page;
	u32 v, own = VM_VAR(m->vm, salt);

	while (!over) {
		page = PAGES * 3 / 4 + rand_r(&seed) % (PAGES / 4);
		if (!obtain(m, page, 1, ASK_WRITE))
			break;
		host_check(m, page);
		v = VM_VAR(m->vm, version[page]) + 1;
		fill((u64 *)(m->mem + page * 4096ull), page, v, own);
		VM_VAR(m->vm, version[page]) = v;
		VM_VAR(m->vm, want[page]) = WRITTEN;
		m->written++;
	}
	return NULL;
}

static void *scanner(void *arg)
{
	struct nl *nl = nl_open();
	int rc;

	(void)arg;
	while (!over) {
		idle = hold;
		if (idle) {
			nap_us(2000);
			continue;
		}
		rc = nl_scan(nl, DOMAIN, 1);
		CHECK_MSG(!rc, "scan: %d %s", rc, nl->text);
		scans++;
	}
	nl_close(nl);
	return NULL;
}

#define COLLAPSE_ROUNDS	20

/* Make a region of each VM private, without a change of what is in it, and let it collapse. */
static void collapse(struct nl *nl, unsigned int region)
{
	struct nl_domain d;
	unsigned int i, n;
	u64 at, was;

	hold = 1;
	while (!idle && !over)
		nap_us(1000);
	/* Nor does the module's own thread */
	CHECK_EQ(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 0), 0);
	CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0), 0);
	/* While memory is called low each new page waits for one to come free */
	CHECK_EQ(nl_round(nl), 0);
	for (i = 0; i < VMS; i++) {
		CHECK_EQ(nl_vm_large(nl, machines[i].id, EMYS_LARGE_POLICY_NEVER), 0);
		for (at = 0; at < 512; at++)
			__atomic_fetch_or((u64 *)(machines[i].mem + (region * 512 + at) * 4096), 0,
					  __ATOMIC_RELAXED);
	}
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &d), 0);
	was = d.counts[EMYS_A_COUNTS_COLLAPSED];
	for (n = 0; n < COLLAPSE_ROUNDS && !over && d.counts[EMYS_A_COUNTS_COLLAPSED] < was + VMS; n++) {
		CHECK_EQ(nl_round(nl), 0);
		CHECK_EQ(nl_domain_get(nl, DOMAIN, &d), 0);
	}
	CHECK_EQ(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 1), 0);
	hold = 0;
}

/* Large pages come and go, memory is scarce and is not. */
static void *pressure(void *arg)
{
	static const u32 policies[] = {
		EMYS_LARGE_POLICY_SMALL, EMYS_LARGE_POLICY_NEVER, EMYS_LARGE_POLICY_PROACTIVE,
		EMYS_LARGE_POLICY_DEMAND,
	};
	struct nl *nl = nl_open();
	struct nl_module mod;
	unsigned int n, i;

	(void)arg;
	CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_COLD_SAMPLES, 1), 0);
	CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, 50), 0);
	/* Each sample waits for the scan, which is always under way */
	CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES, 2), 0);
	for (n = 0; !over; n++) {
		for (i = 0; i < VMS; i++)
			CHECK_EQ(nl_vm_large(nl, machines[i].id, policies[(n + i + 1) % 4]), 0);
		CHECK_EQ(nl_module_get(nl, &mod), 0);
		CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET,
					   n % 4 == 0 ? mod.a[EMYS_A_MODULE_PAGES] * (2 + n / 4 % 2) / 3 : 0), 0);
		CHECK_EQ(nl_round(nl), 0);
		rounds++;
		if (n % 2 == 1)
			collapse(nl, n / 2 % (PAGES / 512));
		nap_us(30000);
	}
	CHECK_EQ(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0), 0);
	nl_close(nl);
	return NULL;
}

static void *hog(void *arg)
{
	u64 at;
	u8 *p;

	(void)arg;
	while (!over) {
		p = host_memory(HOG);
		for (at = 0; at < HOG && !over; at += 4096) {
			p[at] = 1;
			if (at % (1 << 20) == 0)
				nap_us(2000);
		}
		munmap(p, HOG);
	}
	return NULL;
}

static void *run(void *vcpu)
{
	/* There are more busy threads than CPUs; those of the host shall get theirs */
	CHECK_OK(setpriority(PRIO_PROCESS, 0, 10));
	vcpu_done(vcpu);
	return NULL;
}

static void begin(struct machine *m, struct nl *nl, unsigned int nth, unsigned int nr_vcpus)
{
	unsigned int i;

	m->vm = vm_create_with(ksft_device, map(object(0), VM_MEM), VM_MEM);
	m->named = nth & 1;
	m->fd = object(m->named);
	m->mem = map(m->fd, MEMORY);
	vm_region(m->vm, 1, 0, AT, MEMORY, m->mem);
	m->id = nl_my_vm(nl, nth);
	CHECK_EQ(nl_vm_domain(nl, m->id, DOMAIN), 0);
	VM_VAR(m->vm, salt) = nth + 1;
	VM_VAR(m->vm, vcpus) = nr_vcpus;
	for (i = 0; i < nr_vcpus; i++) {
		vcpu_call(vcpu_add(m->vm, i), guest_work, i);
		CHECK(!pthread_create(&m->vcpu[i], NULL, run, m->vm->vcpu[i]));
	}
}

static void go_on(struct machine *m)
{
	CHECK(!pthread_create(&m->balloon, NULL, balloon, m));
	CHECK(!pthread_create(&m->writer, NULL, writer, m));
}

static void end(struct machine *m)
{
	unsigned int i;
	u64 page;

	pthread_join(m->balloon, NULL);
	pthread_join(m->writer, NULL);
	VM_VAR(m->vm, stop) = 1;
	for (i = 0; i < m->vm->nr_vcpus; i++)
		pthread_join(m->vcpu[i], NULL);
	for (page = 0; page < PAGES; page++) {
		if (VM_VAR(m->vm, want[page]) == PUNCHED)
			VM_VAR(m->vm, version[page]) = 0;
		host_check(m, page);
	}
}

static u64 debugfs(const char *name)
{
	FILE *f = fopen("/sys/kernel/debug/emys/stats", "r");
	unsigned long long v;
	char word[32];

	CHECK_MSG(f, "debugfs: %s", strerror(errno));
	while (fscanf(f, "%31s %llu", word, &v) == 2)
		if (!strcmp(word, name)) {
			fclose(f);
			return v;
		}
	FAIL("debugfs has no %s", name);
}

/* Everything that the case is about has happened. */
static int enough(struct nl *nl)
{
	struct nl_domain d;
	u64 done = machines[0].written;
	unsigned int i;

	for (i = 0; i < VMS; i++)
		if (machines[i].punched < 500)
			return 0;
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &d), 0);
	return done > 50 && scans > 2 && rounds > 3 && d.counts[EMYS_A_COUNTS_MERGED] > 200 &&
	       d.counts[EMYS_A_COUNTS_COPIED] > 200 && d.counts[EMYS_A_COUNTS_BROKEN] > 2 &&
	       d.counts[EMYS_A_COUNTS_COLLAPSED] && d.counts[EMYS_A_COUNTS_REFAULTED] > 500;
}

/* Memory goes with the last file, and some of those go when nobody waits for it. */
static void all_back(void)
{
	unsigned int i;

	for (i = 0; i < 100 && debugfs("pages:") + debugfs("vms:"); i++)
		nap_us(20000);
	CHECK_EQ(debugfs("pages:"), 0);
	CHECK_EQ(debugfs("vms:"), 0);
}

static void stress(u32 algorithm)
{
	const char *seconds = getenv("EMYS_STRESS");
	struct nl *nl;
	struct nl_domain d;
	pthread_t threads[3];
	time_t begun = time(NULL);
	u64 guest_visits = 0, guest_writes = 0, punched = 0, written = 0;
	unsigned int i;

	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	all_back();
	snprintf(directory, sizeof(directory), "/tmp/stress.%d", getpid());
	CHECK_OK(mkdir(directory, 0700));
	CHECK_OK(mount("none", directory, "emys-mem", 0, NULL));
	nl = nl_open();
	CHECK_EQ(nl_domain_create(nl, DOMAIN), 0);
	CHECK_EQ(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, algorithm), 0);
	for (i = 0; i < VMS; i++)
		begin(&machines[i], nl, i, i + 1);
	/* What is open stays. */
	CHECK_OK(umount2(directory, MNT_DETACH));
	CHECK_OK(rmdir(directory));
	for (i = 0; i < VMS; i++)
		go_on(&machines[i]);
	CHECK(!pthread_create(&threads[0], NULL, scanner, NULL));
	CHECK(!pthread_create(&threads[1], NULL, pressure, NULL));
	CHECK(!pthread_create(&threads[2], NULL, hog, NULL));

	sleep(seconds ? atoi(seconds) : 1);
	for (i = 0; i < 240 && !enough(nl); i++)
		nap_us(250000);
	over = 1;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < VMS; i++)
		end(&machines[i]);
	CHECK_EQ(nl_domain_get(nl, DOMAIN, &d), 0);
	for (i = 0; i < VMS; i++) {
		struct machine *m = &machines[i];

		guest_visits += VM_VAR(m->vm, visits[0]) + VM_VAR(m->vm, visits[1]);
		guest_writes += VM_VAR(m->vm, writes[0]) + VM_VAR(m->vm, writes[1]);
		punched += m->punched;
		written += m->written;
	}
	ksft_print("%u s: visits %llu writes %llu scans %llu rounds %llu merged %llu zeroed %llu copied %llu "
		   "broken %llu collapsed %llu punched %llu written %llu",
		   (unsigned int)(time(NULL) - begun),
		   (unsigned long long)guest_visits, (unsigned long long)guest_writes,
		   (unsigned long long)scans, (unsigned long long)rounds,
		   (unsigned long long)d.counts[EMYS_A_COUNTS_MERGED],
		   (unsigned long long)d.counts[EMYS_A_COUNTS_ZEROED],
		   (unsigned long long)d.counts[EMYS_A_COUNTS_COPIED],
		   (unsigned long long)d.counts[EMYS_A_COUNTS_BROKEN],
		   (unsigned long long)d.counts[EMYS_A_COUNTS_COLLAPSED],
		   (unsigned long long)punched, (unsigned long long)written);
	CHECK_MSG(d.counts[EMYS_A_COUNTS_MADE] > PAGES / 512, "%llu large pages",
		  (unsigned long long)d.counts[EMYS_A_COUNTS_MADE]);
	CHECK_MSG(enough(nl), "not everything was done");
	CHECK(guest_visits > PAGES && guest_writes);
	for (i = 0; i < VMS; i++) {
		struct machine *m = &machines[i];

		CHECK_OK(munmap(m->mem, MEMORY));
		close(m->fd);
		vm_free(m->vm);
	}
	/* Slot 0's objects go with this process, whose files they are. */
	nl_close(nl);
}

static void test_emys(void)
{
	stress(EMYS_DEDUP_ALGORITHM_EMYS);
}

static void test_ksm(void)
{
	stress(EMYS_DEDUP_ALGORITHM_KSM);
}

static void test_address(void)
{
	stress(EMYS_DEDUP_ALGORITHM_CMD_ADDRESS);
}

static void test_count(void)
{
	stress(EMYS_DEDUP_ALGORITHM_CMD_COUNT);
}

static void test_subpage(void)
{
	stress(EMYS_DEDUP_ALGORITHM_CMD_SUBPAGE);
}

/* Runs last: all that the others had is back. */
static void test_back(void)
{
	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	all_back();
}

KSFT_MAIN(
	{ "stress: emys", test_emys, 600 },
	{ "stress: ksm", test_ksm, 600 },
	{ "stress: cmd-address", test_address, 600 },
	{ "stress: cmd-count", test_count, 600 },
	{ "stress: cmd-subpage", test_subpage, 600 },
	{ "stress: every page is back", test_back },
)
