// SPDX-License-Identifier: GPL-2.0-only
/* bench/largepage-client: what large pages cost and give under four policies */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "layout.h"

/*
 * One guest: HOT_BLOCKS that it uses all the time, of whose pages 1 % are alike; COLD_BLOCKS of
 * duplicates, which it reads a few pages of in each step; ZERO_BLOCKS of zeros; and memory that
 * grows step by step until sharing can just make up for it.
 *
 * The budget is ample at first. In each step the guest grows and works, a round of
 * reclaim runs, and deduplication has pace.ms to itself, which is long because the emulated CPU needs
 * a millisecond for a page. When the host state is SOFT or worse a balloon takes what lacks to leave
 * it: cold pages, in the order of address from where it stopped, whose contents the guest
 * brings back when it reads them.
 */
#define HOT_BLOCKS	12
#define COLD_BLOCKS	16
#define ZERO_BLOCKS	2
#define GROW_BLOCKS	16
#define HOT_SAME	5
#define FREE		4608		/* pages of the budget, at first; a little above CLEAR */
#define LEAVE_SOFT	1024		/* free pages; layout_pressure() */
#define COLD_READS	64		/* pages in each step */
#define QUIET_STEPS	8
#define LAST_STEPS	16

enum { NEVER, DEMAND, PROACTIVE, SMALL, POLICIES };

static const struct {
	const char *name;
	u32 policy;
} policies[POLICIES] = {
	[NEVER] = { "never", EMYS_LARGE_POLICY_NEVER },
	[DEMAND] = { "demand", EMYS_LARGE_POLICY_DEMAND },
	[PROACTIVE] = { "proactive", EMYS_LARGE_POLICY_PROACTIVE },
	[SMALL] = { "small", EMYS_LARGE_POLICY_SMALL },
};

struct result {
	u64 quiet_broken;	/* regions before there was any pressure */
	u64 saved, leaves, hot, faults, ballooned, refaulted, broken, in_vain;
	u64 hits, accesses;	/* of the guest's own, under pressure: in large leaves, all */
	u64 ms;			/* the host's time of the growth */
};

/* Growth in a step, its time, and deduplication's part of a CPU: all that the guest leaves */
static struct {
	u64 pages, ms, permille;
} pace = { 256, 1000, 1000 };
static bool steps;		/* show each */
static struct layout l;
static struct result *res;		/* by policy */
static u64 balloon_at;		/* the next page of COLD that it takes */

static u64 vm_stat(const char *name)
{
	int fd = CHECK_OK(ioctl(l.vm->fd, KVM_GET_STATS_FD, 0));
	struct kvm_stats_header head;
	struct kvm_stats_desc *d;
	size_t size;
	u64 v = 0;
	u32 i;

	CHECK_EQ(pread(fd, &head, sizeof(head), 0), sizeof(head));
	size = sizeof(*d) + head.name_size;
	d = calloc(1, size + 1);
	CHECK(d);
	for (i = 0; i < head.num_desc; i++) {
		CHECK_EQ(pread(fd, d, size, head.desc_offset + i * size), size);
		if (!strcmp(d->name, name))
			CHECK_EQ(pread(fd, &v, 8, head.data_offset + d->offset), 8);
	}
	free(d);
	close(fd);
	return v;
}

static u64 blocks(enum area area)
{
	return layout_count(&l, area, EMYS_A_COUNTS_BLOCKS);
}

/* What the guest reads and writes in a step, and how much of it in large leaves. */
static void work(struct result *r, bool count)
{
	u64 hot = HOT_BLOCKS * BLOCK_PAGES;

	if (count) {
		r->hits += hot * blocks(HOT) / HOT_BLOCKS;
		r->hits += COLD_READS * blocks(COLD) / COLD_BLOCKS;
		r->accesses += hot + COLD_READS;
	}
	layout_do(&l, ORDER_USE, 0);
	layout_do(&l, ORDER_READ, COLD_READS);
	r->refaulted += l.result;
}

static void reclaim(void)
{
	int err = nl_round(l.nl);

	CHECK_MSG(!err, "round: %d %s", err, l.nl->text);
}

/* Take @n pages of COLD. */
static void inflate(struct result *r, u64 n)
{
	u64 all = COLD_BLOCKS * BLOCK_PAGES;

	for (; n; n--) {
		u8 *page = l.mem[COLD] + balloon_at * 4096;

		CHECK_OK(madvise(page, 4096, MADV_REMOVE));
		balloon_at = (balloon_at + 1) % all;
		r->ballooned++;
	}
}

static void balloon(struct result *r)
{
	u64 state = layout_stat(&l, EMYS_A_RECLAIM_STATS_STATE);
	u64 free = layout_stat(&l, EMYS_A_RECLAIM_STATS_FREE);

	if (state >= EMYS_HOST_STATE_SOFT && free < LEAVE_SOFT)
		inflate(r, LEAVE_SOFT - free);
}

static u64 broken_all(void)
{
	u64 sum = 0;
	u32 s;

	for (s = EMYS_HOST_STATE_HIGH; s <= EMYS_HOST_STATE_LOW; s++)
		sum += layout_broken(&l, s);
	return sum;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* One line: where the step ended. */
static void show_step(const struct result *r)
{
	static struct nl_domain d;
	enum area area;
	struct nl_vm vm;

	if (!steps)
		return;
	CHECK_EQ(nl_vm_get(l.nl, l.id, &vm), 0);
	CHECK_EQ(nl_domain_get(l.nl, vm.a[EMYS_A_VM_DOMAIN], &d), 0);
	fprintf(stderr, "# %llu ms: state %lu, %lu free, %lu broken, %lu ballooned; large+given",
		(unsigned long long)now_ms(), layout_stat(&l, EMYS_A_RECLAIM_STATS_STATE),
		layout_stat(&l, EMYS_A_RECLAIM_STATS_FREE), broken_all(), r->ballooned);
	for (area = HOT; area < AREAS; area++)
		fprintf(stderr, " %lu+%lu", blocks(area),
			layout_count(&l, area, EMYS_A_COUNTS_SHARED) +
			layout_count(&l, area, EMYS_A_COUNTS_ZERO));
	fprintf(stderr, "; passes %lu, looked at %lu, waiting %lu, merged %lu, refused %lu\n",
		d.stats[EMYS_A_DEDUP_STATS_PASSES],
		d.stats[EMYS_A_DEDUP_STATS_SCANNED] - d.stats[EMYS_A_DEDUP_STATS_SKIPPED],
		d.stats[EMYS_A_DEDUP_STATS_UNSTABLE], d.stats[EMYS_A_DEDUP_STATS_MERGED],
		d.stats[EMYS_A_DEDUP_STATS_REFUSED]);
}

static void run(u32 policy, struct result *r)
{
	u64 before, in_vain, start, grown, i;

	l.blocks[HOT] = HOT_BLOCKS;
	l.blocks[COLD] = COLD_BLOCKS;
	l.blocks[ZERO] = ZERO_BLOCKS;
	l.blocks[GROW] = GROW_BLOCKS;
	l.hot_same = HOT_SAME;
	layout_make(&l);
	layout_dedup_policy(&l, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, pace.permille);
	before = broken_all();
	in_vain = layout_stat(&l, EMYS_A_RECLAIM_STATS_BROKEN_PRIVATE);
	layout_policy(&l, EMYS_A_RECLAIM_POLICY_LARGE, policies[policy].policy);
	layout_pressure(&l, FREE);

	for (i = 0; i < QUIET_STEPS; i++) {
		work(r, false);
		reclaim();
		usleep(pace.ms * 1000);
		show_step(r);
	}
	r->quiet_broken = broken_all() - before;

	start = now_ms();
	for (grown = 0; grown < GROW_BLOCKS * BLOCK_PAGES; grown += pace.pages) {
		layout_do(&l, ORDER_GROW, pace.pages);
		work(r, true);
		reclaim();
		balloon(r);
		usleep(pace.ms * 1000);
		show_step(r);
	}
	r->ms = now_ms() - start;
	for (i = 0; i < LAST_STEPS; i++) {
		work(r, true);
		reclaim();
		balloon(r);
		usleep(pace.ms * 1000);
		show_step(r);
	}

	r->saved = layout_counts(&l, EMYS_A_COUNTS_PRIVATE) +
		   layout_counts(&l, EMYS_A_COUNTS_SHARED) +
		   layout_counts(&l, EMYS_A_COUNTS_ZERO) -
		   layout_stat(&l, EMYS_A_RECLAIM_STATS_USED);
	r->leaves = layout_counts(&l, EMYS_A_COUNTS_BLOCKS);
	r->hot = blocks(HOT);
	r->faults = vm_stat("mem_faults");
	r->broken = broken_all() - before;
	r->in_vain = layout_stat(&l, EMYS_A_RECLAIM_STATS_BROKEN_PRIVATE) - in_vain;
	/* What the balloon has comes back, and every byte is as it was */
	layout_no_pressure(&l);
	layout_do(&l, ORDER_READ, COLD_BLOCKS * BLOCK_PAGES);
	layout_check(&l);
	layout_policy(&l, EMYS_A_RECLAIM_POLICY_LARGE, EMYS_LARGE_POLICY_PROACTIVE);
	layout_free(&l);
}

static int policy_of(const char *name)
{
	int p = 0;

	while (p < POLICIES && strcmp(policies[p].name, name))
		p++;
	return p;
}

static int run_child(u32 policy)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		run(policy, &res[policy]);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		fprintf(stderr, "%s: the run died\n", policies[policy].name);
		return 1;
	}
	return WEXITSTATUS(status);
}

static u64 permille(u64 part, u64 of)
{
	return of ? part * 1000 / of : 0;
}

#define FIELDS(X) X(saved) X(leaves) X(hot) X(faults) X(ballooned) X(refaulted) X(broken) X(in_vain)

static void print_json(void)
{
	u32 p;

	printf("{");
	for (p = 0; p < POLICIES; p++) {
		printf("%s\"%s\": {\"quiet_broken\": %llu", p ? ", " : "", policies[p].name,
		       (unsigned long long)res[p].quiet_broken);
#define X(f)	printf(", \"" #f "\": %llu", (unsigned long long)res[p].f);
		FIELDS(X)
#undef X
		printf(", \"large_permille\": %llu}",
		       (unsigned long long)permille(res[p].hits, res[p].accesses));
	}
	printf("}\n");
}

static void print_table(void)
{
	u32 p;

	printf("%-10s %7s %7s %5s %7s %10s %10s %7s %8s %9s %8s\n", "policy", "saved", "leaves",
	       "hot", "faults", "ballooned", "refaulted", "broken", "in vain", "accesses", "ms");
	for (p = 0; p < POLICIES; p++) {
		u64 part = permille(res[p].hits, res[p].accesses);

		printf("%-10s", policies[p].name);
		printf(" %7llu %7llu %5llu", (unsigned long long)res[p].saved,
		       (unsigned long long)res[p].leaves, (unsigned long long)res[p].hot);
		printf(" %7llu %10llu %10llu", (unsigned long long)res[p].faults,
		       (unsigned long long)res[p].ballooned, (unsigned long long)res[p].refaulted);
		printf(" %7llu %8llu %7llu.%llu%% %8llu\n", (unsigned long long)res[p].broken,
		       (unsigned long long)res[p].in_vain, (unsigned long long)part / 10,
		       (unsigned long long)part % 10, (unsigned long long)res[p].ms);
	}
	printf("\nsaved: pages less than without sharing; leaves: large pages left, hot: of %u that\n"
	       "are used all the time; ballooned: pages; refaulted: of these, read again; broken: large\n"
	       "pages, in vain: of which nothing was merged; accesses: the guest's own, under pressure,\n"
	       "that fell in large pages; ms: of the host's time that the growth took\n", HOT_BLOCKS);
}

static int miss(const char *what)
{
	printf("mark missed: %s\n", what);
	return 1;
}

static int check_marks(void)
{
	const struct result *pro = &res[PROACTIVE], *small = &res[SMALL], *demand = &res[DEMAND];
	int missed = 0;

	if (pro->quiet_broken)
		missed |= miss("without pressure large pages are broken");
	if (pro->saved * 100 < small->saved * 95)
		missed |= miss("proactive saves less than 95 % of what 4K only saves");
	if (!small->saved)
		missed |= miss("4K only saves nothing");
	if (pro->hot * 10 < HOT_BLOCKS * 9)
		missed |= miss("proactive keeps less than 90 % of the hot large leaves");
	if (!demand->ballooned)
		missed |= miss("nothing is ballooned on demand: there was no pressure");
	if ((pro->ballooned + pro->refaulted) * 2 > demand->ballooned + demand->refaulted)
		missed |= miss("more than half of what on demand balloons and refaults");
	return missed;
}

int main(int argc, char **argv)
{
	int json = 0, marks = 0, only = -1, opt;
	u32 p;

	while ((opt = getopt(argc, argv, "jmso:p:")) != -1) {
		if (opt == 'j') {
			json = 1;
		} else if (opt == 'm') {
			marks = 1;
		} else if (opt == 's') {
			steps = true;
		} else if (opt == 'p') {
			if (sscanf(optarg, "%lu,%lu,%lu", &pace.pages, &pace.ms,
				   &pace.permille) != 3 || !pace.pages) {
				fprintf(stderr, "no such pace\n");
				return 2;
			}
		} else if (opt == 'o') {
			only = policy_of(optarg);
		} else {
			fprintf(stderr, "usage: %s [-j] [-m] [-s] [-o POLICY] [-p PAGES,MS,PERMILLE]\n", argv[0]);
			return 2;
		}
	}
	if (only == POLICIES) {
		fprintf(stderr, "no such policy\n");
		return 2;
	}
	ksft_device = "/dev/emys";
	res = mmap(NULL, sizeof(*res) * POLICIES, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(res != MAP_FAILED);
	for (p = 0; p < POLICIES; p++)
		if ((only < 0 || only == (int)p) && run_child(p))
			return 1;
	if (json)
		print_json();
	else
		print_table();
	return marks && only < 0 ? check_marks() : 0;
}
