// SPDX-License-Identifier: GPL-2.0-only
/* largepage/breaking: which large pages are broken, when, and which come back */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout.h"

#define CLEAR	2048		/* free pages: in the middle of a state */
#define SOFT	500
#define HARD	250
#define LOW	50

static struct layout l;
static u64 broken_before[5], private_before;

static void make(u32 hot, u32 cold, u32 zero)
{
	u32 s;

	l.blocks[HOT] = hot;
	l.blocks[COLD] = cold;
	l.blocks[ZERO] = zero;
	layout_make(&l);
	CHECK_EQ(layout_counts(&l, EMYS_A_COUNTS_BLOCKS), hot + cold + zero);
	for (s = 0; s < 5; s++)
		broken_before[s] = layout_broken(&l, s);
	private_before = layout_stat(&l, EMYS_A_RECLAIM_STATS_BROKEN_PRIVATE);
}

static u64 broken(u32 state)
{
	return layout_broken(&l, state) - broken_before[state];
}

static u64 broken_all(void)
{
	u64 sum = 0;
	u32 s;

	for (s = 0; s < 5; s++)
		sum += broken(s);
	return sum;
}

/* Regions that were broken by reclaim and gave nothing. */
static u64 broken_private(void)
{
	return layout_stat(&l, EMYS_A_RECLAIM_STATS_BROKEN_PRIVATE) - private_before;
}

static u64 state(void)
{
	return layout_stat(&l, EMYS_A_RECLAIM_STATS_STATE);
}

static u64 blocks(enum area area)
{
	return layout_count(&l, area, EMYS_A_COUNTS_BLOCKS);
}

static void large(u32 policy)
{
	layout_policy(&l, EMYS_A_RECLAIM_POLICY_LARGE, policy);
}

/* Rounds until everything cold and shareable is broken, and deduplication after them. */
static void settle(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		layout_rounds(&l, 4);
		layout_dedup(&l, 2);
	}
	layout_rounds(&l, 1);
}

static void end(void)
{
	large(EMYS_LARGE_POLICY_PROACTIVE);
	layout_no_pressure(&l);
	layout_free(&l);
}

/* With ample memory nothing is broken, however cold and alike it is. */
static void test_no_pressure(void)
{
	make(1, 2, 1);
	settle();
	CHECK_EQ(state(), EMYS_HOST_STATE_HIGH);
	CHECK_EQ(broken_all(), 0);
	CHECK_EQ(layout_counts(&l, EMYS_A_COUNTS_BLOCKS), 4);
	CHECK_EQ(layout_stat(&l, EMYS_A_RECLAIM_STATS_COLD), 3);
	layout_check(&l);
	end();
}

/*
 * While memory is still free: duplicates that are cold are broken and merge, zeros are dropped,
 * what is hot or has no partner stays, and nothing is broken for nothing.
 */
static void test_proactive(void)
{
	u64 used, saved;

	make(2, 2, 1);
	used = layout_stat(&l, EMYS_A_RECLAIM_STATS_USED);
	layout_pressure(&l, CLEAR);
	settle();
	CHECK_EQ(blocks(HOT), 2);
	CHECK_EQ(blocks(COLD), 0);
	CHECK_EQ(blocks(ZERO), 0);
	CHECK_EQ(broken_all(), 3);
	CHECK_EQ(broken_private(), 0);
	CHECK_EQ(layout_count(&l, COLD, EMYS_A_COUNTS_SHARED), 2 * BLOCK_PAGES);
	CHECK_EQ(layout_count(&l, ZERO, EMYS_A_COUNTS_ZERO), BLOCK_PAGES);
	saved = used - layout_stat(&l, EMYS_A_RECLAIM_STATS_USED);
	CHECK_EQ(saved, 2 * BLOCK_PAGES);
	layout_check(&l);
	layout_do(&l, ORDER_CHANGE, 0);
	layout_do(&l, ORDER_TOUCH, 0);
	layout_check(&l);
	end();
}

/* Cold blocks that have no partner are kept in CLEAR and SOFT, and even in LOW. */
static void test_private(void)
{
	static const u64 free[] = { CLEAR, SOFT, HARD, LOW };
	u32 i;

	make(1, 2, 0);
	layout_do(&l, ORDER_CHANGE, 0);
	for (i = 0; i < ARRAY_SIZE(free); i++) {
		layout_pressure(&l, free[i]);
		layout_rounds(&l, 8);
		layout_dedup(&l, 1);
		CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR + i);
		CHECK_EQ(layout_counts(&l, EMYS_A_COUNTS_BLOCKS), 3);
	}
	CHECK_EQ(broken_all(), 0);
	layout_check(&l);
	end();
}

/* Hot blocks with something to share: not in CLEAR; in SOFT, because memory lacks. */
static void test_hot_shareable(void)
{
	l.hot_same = 256;
	make(2, 0, 0);
	layout_pressure(&l, CLEAR);
	settle();
	CHECK_EQ(broken_all(), 0);
	layout_pressure(&l, SOFT);
	settle();
	CHECK(broken(EMYS_HOST_STATE_SOFT) > 0);
	CHECK_EQ(broken_private(), 0);
	CHECK(layout_count(&l, HOT, EMYS_A_COUNTS_SHARED) >= 2 * 256);
	layout_check(&l);
	end();
}

static void test_never(void)
{
	make(1, 2, 1);
	large(EMYS_LARGE_POLICY_NEVER);
	layout_pressure(&l, LOW);
	settle();
	CHECK_EQ(state(), EMYS_HOST_STATE_LOW);
	CHECK_EQ(layout_counts(&l, EMYS_A_COUNTS_BLOCKS), 4);
	CHECK_EQ(broken_all(), 0);
	layout_check(&l);
	end();
}

/* Not before SOFT, and then by address, hot or not. */
static void test_demand(void)
{
	make(1, 2, 0);
	large(EMYS_LARGE_POLICY_DEMAND);
	layout_pressure(&l, CLEAR);
	settle();
	CHECK_EQ(broken_all(), 0);
	layout_pressure(&l, SOFT);
	layout_rounds(&l, 1);
	CHECK(broken(EMYS_HOST_STATE_SOFT) > 0);
	CHECK_EQ(blocks(HOT), 0);
	layout_check(&l);
	end();
}

/* Everything broken without any pressure, and no new blocks. */
static void test_small(void)
{
	l.blocks[GROW] = 2;
	make(1, 2, 0);
	large(EMYS_LARGE_POLICY_SMALL);
	/* A round breaks so much at most; this is less */
	layout_rounds(&l, 2);
	CHECK_EQ(layout_counts(&l, EMYS_A_COUNTS_BLOCKS), 0);
	layout_do(&l, ORDER_GROW, BLOCK_PAGES);
	CHECK_EQ(blocks(GROW), 0);
	layout_check(&l);
	/* the policy gone, new memory is large again */
	large(EMYS_LARGE_POLICY_PROACTIVE);
	layout_rounds(&l, 1);
	layout_no_pressure(&l);
	layout_do(&l, ORDER_GROW, BLOCK_PAGES);
	CHECK_EQ(blocks(GROW), 1);
	layout_check(&l);
	end();
}

/* A VM's own policy stands above the module's, both ways. */
static void test_own_policy(void)
{
	struct nl_vm vm;

	make(1, 2, 0);
	CHECK_EQ(nl_vm_large(l.nl, l.id, EMYS_LARGE_POLICY_NEVER), 0);
	CHECK_EQ(nl_vm_get(l.nl, l.id, &vm), 0);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE], EMYS_LARGE_POLICY_NEVER);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE_OWN], 1);
	layout_pressure(&l, CLEAR);
	settle();
	CHECK_EQ(broken_all(), 0);
	large(EMYS_LARGE_POLICY_NEVER);
	CHECK_EQ(nl_vm_large(l.nl, l.id, EMYS_LARGE_POLICY_PROACTIVE), 0);
	settle();
	CHECK_EQ(blocks(COLD), 0);
	CHECK_EQ(blocks(HOT), 1);
	CHECK_EQ(nl_vm_large(l.nl, l.id, EMYS_LARGE_POLICY_MODULE), 0);
	CHECK_EQ(nl_vm_get(l.nl, l.id, &vm), 0);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE], EMYS_LARGE_POLICY_NEVER);
	CHECK_EQ(vm.a[EMYS_A_VM_LARGE_OWN], 0);
	layout_check(&l);
	end();
}

/* Merged, written, hot, and memory ample again: large again, as it was. */
static void test_collapse(void)
{
	int i;

	make(1, 2, 0);
	layout_pressure(&l, CLEAR);
	settle();
	CHECK_EQ(blocks(COLD), 0);
	layout_do(&l, ORDER_CHANGE, 0);
	layout_rounds(&l, 2);
	CHECK_EQ(blocks(COLD), 0);	/* not as long as memory is not ample */
	layout_no_pressure(&l);
	layout_rounds(&l, 4);
	CHECK_EQ(blocks(COLD), 0);	/* and not what is cold */
	for (i = 0; i < 8; i++) {
		layout_do(&l, ORDER_READ, 2 * BLOCK_PAGES);
		layout_rounds(&l, 1);
	}
	CHECK_EQ(blocks(COLD), 2);
	CHECK(layout_count(&l, COLD, EMYS_A_COUNTS_COLLAPSED) >= 2);
	layout_check(&l);
	end();
}

/* What was known is looked at again: partners that have changed since are none. */
static void test_changed(void)
{
	make(1, 2, 0);
	layout_rounds(&l, 8);		/* both are cold and known to be alike */
	layout_do(&l, ORDER_CHANGE, 0);
	layout_pressure(&l, CLEAR);
	usleep(500000);			/* the thread sees the state, and acts on what was known */
	CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	layout_rounds(&l, 8);
	CHECK_EQ(broken_all(), 0);
	layout_check(&l);
	end();
}

/* Of two that are alike one is in use: both stay, until it is not. */
static void test_partner_in_use(void)
{
	int i;

	make(1, 2, 0);
	layout_rounds(&l, 8);
	for (i = 0; i < 12; i++) {
		if (i == 4)
			layout_pressure(&l, CLEAR);
		layout_do(&l, ORDER_READ, 1);
		layout_rounds(&l, 1);
	}
	CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	CHECK_EQ(broken_all(), 0);
	settle();
	CHECK_EQ(broken_all(), 2);
	CHECK_EQ(broken_private(), 0);
	CHECK_EQ(layout_count(&l, COLD, EMYS_A_COUNTS_SHARED), 2 * BLOCK_PAGES);
	layout_check(&l);
	end();
}

/* Two that are alike are broken, and deduplication does next to nothing. */
static void make_late(void)
{
	make(1, 2, 0);
	layout_dedup_policy(&l, EMYS_A_DEDUP_POLICY_PAGES, 1);
	layout_dedup_policy(&l, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1);
	layout_rounds(&l, 8);
	layout_pressure(&l, CLEAR);
	layout_rounds(&l, 4);
	CHECK_EQ(broken_all(), 2);
	CHECK_EQ(broken_private(), 2);
}

/*
 * What was broken for nothing, because the partner changed, becomes whole without a copy, when
 * deduplication has looked at it.
 */
static void test_in_vain(void)
{
	u64 kept;
	int i;

	make_late();
	layout_do(&l, ORDER_CHANGE, 0);
	kept = layout_count(&l, COLD, EMYS_A_COUNTS_KEPT);
	layout_rounds(&l, 20);
	CHECK_EQ(blocks(COLD), 0);
	for (i = 0; i < 4; i++) {
		layout_dedup(&l, 1);
		layout_rounds(&l, 1);
	}
	layout_rounds(&l, 4);
	CHECK_EQ(blocks(COLD), 2);
	CHECK_EQ(broken_private(), 2);
	CHECK_EQ(broken_all(), 2);
	CHECK_EQ(layout_count(&l, COLD, EMYS_A_COUNTS_KEPT) - kept, 2);
	layout_check(&l);
	end();
}

/* As long as deduplication has not looked at it, it is no mistake. */
static void test_late(void)
{
	make_late();
	layout_rounds(&l, 40);
	CHECK_EQ(blocks(COLD), 0);
	CHECK_EQ(broken_private(), 2);
	layout_dedup(&l, 2);
	CHECK_EQ(layout_count(&l, COLD, EMYS_A_COUNTS_SHARED), 2 * BLOCK_PAGES);
	layout_rounds(&l, 4);
	CHECK_EQ(broken_private(), 0);
	layout_check(&l);
	end();
}

/* Free memory that swings in a gap between bounds does not change the state. */
static void test_hysteresis(void)
{
	u64 changes;
	int i;

	make(1, 0, 0);
	large(EMYS_LARGE_POLICY_NEVER);
	layout_pressure(&l, 4200);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_HIGH);
	layout_pressure(&l, 4000);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	changes = layout_stat(&l, EMYS_A_RECLAIM_STATS_CHANGES);
	for (i = 0; i < 6; i++) {
		layout_pressure(&l, i % 2 ? 4000 : 4400);
		layout_rounds(&l, 1);
		CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	}
	CHECK_EQ(layout_stat(&l, EMYS_A_RECLAIM_STATS_CHANGES), changes);
	layout_pressure(&l, 4600);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_HIGH);
	CHECK_EQ(layout_stat(&l, EMYS_A_RECLAIM_STATS_CHANGES), changes + 1);
	end();
}

/*
 * The host's own free memory counts without a budget too: somebody else takes some of it, and
 * gives it back, which is not enough to leave the state.
 */
static void test_host_memory(void)
{
	u64 free, size;
	void *taken;

	make(1, 0, 0);
	large(EMYS_LARGE_POLICY_NEVER);
	free = layout_stat(&l, EMYS_A_RECLAIM_STATS_FREE);
	layout_policy(&l, EMYS_A_RECLAIM_POLICY_MIN_FREE, free * 1000 / 700);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	size = free * 15 / 100 * 4096;
	taken = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CHECK(taken != MAP_FAILED);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_SOFT);
	CHECK_OK(munmap(taken, size));
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_SOFT);
	CHECK(layout_stat(&l, EMYS_A_RECLAIM_STATS_FREE) > free * 92 / 100);
	layout_policy(&l, EMYS_A_RECLAIM_POLICY_MIN_FREE, free * 1000 / 1300);
	layout_rounds(&l, 1);
	CHECK_EQ(state(), EMYS_HOST_STATE_CLEAR);
	end();
}

/* Listeners hear of a change of state, with the figures. */
static void test_event(void)
{
	struct nl_event ev;
	bool seen = false;

	make(1, 0, 0);
	large(EMYS_LARGE_POLICY_NEVER);
	nl_listen(l.nl);
	layout_pressure(&l, HARD);
	layout_rounds(&l, 1);
	while (!seen && nl_event(l.nl, &ev, 2000))
		seen = ev.cmd == EMYS_CMD_PRESSURE &&
		       ev.a[EMYS_A_EVENT_STATE] == EMYS_HOST_STATE_HARD;
	CHECK(seen);
	CHECK_EQ(ev.a[EMYS_A_EVENT_WAS], EMYS_HOST_STATE_HIGH);
	CHECK_EQ(ev.a[EMYS_A_EVENT_FREE], HARD);
	end();
}

/* In LOW new pages wait a little, and come all the same. */
static void test_throttle(void)
{
	u64 waits;

	l.blocks[GROW] = 2;
	make(1, 0, 0);
	large(EMYS_LARGE_POLICY_SMALL);
	layout_rounds(&l, 1);
	waits = layout_stat(&l, EMYS_A_RECLAIM_STATS_WAITS);
	layout_do(&l, ORDER_GROW, 8);
	layout_rounds(&l, 1);
	CHECK_EQ(layout_stat(&l, EMYS_A_RECLAIM_STATS_WAITS), waits);
	layout_pressure(&l, LOW);
	layout_rounds(&l, 1);
	layout_do(&l, ORDER_GROW, 8);
	layout_rounds(&l, 1);
	CHECK_EQ(layout_stat(&l, EMYS_A_RECLAIM_STATS_WAITS), waits + 8);
	layout_check(&l);
	end();
}

/* The kernel asks its shrinkers: zeros are given at once, though the budget has room. */
static void test_shrinker(void)
{
	u64 shrunk;
	int fd, i;

	make(1, 0, 2);
	layout_rounds(&l, 8);
	CHECK_EQ(broken_all(), 0);
	/* Its thread, which looks at the same pages, would hold some that the round wants. */
	layout_dedup_policy(&l, EMYS_A_DEDUP_POLICY_RUN, 0);
	shrunk = layout_stat(&l, EMYS_A_RECLAIM_STATS_SHRUNK);
	fd = CHECK_OK(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
	CHECK_EQ(write(fd, "2", 1), 1);
	close(fd);
	/* Counted when the round ends, which takes its time. */
	for (i = 0; i < 1000; i++) {
		if (layout_stat(&l, EMYS_A_RECLAIM_STATS_SHRUNK) - shrunk >= 2 * BLOCK_PAGES)
			break;
		usleep(20000);
	}
	shrunk = layout_stat(&l, EMYS_A_RECLAIM_STATS_SHRUNK) - shrunk;
	CHECK_MSG(shrunk == 2 * BLOCK_PAGES, "%lu shrunk, %lu zero, %lu broken, %lu private",
		  shrunk, layout_count(&l, ZERO, EMYS_A_COUNTS_ZERO), broken_all(), broken_private());
	CHECK_EQ(layout_count(&l, ZERO, EMYS_A_COUNTS_ZERO), 2 * BLOCK_PAGES);
	CHECK_EQ(blocks(HOT), 1);
	CHECK_EQ(broken_private(), 0);
	layout_check(&l);
	end();
}

/* Used memory is told from unused. */
static void test_working_set(void)
{
	struct nl_vm vm;

	make(1, 4, 0);
	layout_rounds(&l, 40);
	CHECK_EQ(nl_vm_get(l.nl, l.id, &vm), 0);
	CHECK_EQ(vm.balloon[EMYS_A_BALLOON_ACTUAL], 5 * BLOCK_PAGES);
	/* the averages approach the hot pages from above */
	CHECK(vm.balloon[EMYS_A_BALLOON_ACTIVE] >= BLOCK_PAGES);
	CHECK(vm.balloon[EMYS_A_BALLOON_ACTIVE] <= 2 * BLOCK_PAGES);
	layout_do(&l, ORDER_READ, 4 * BLOCK_PAGES);
	layout_rounds(&l, 1);
	CHECK_EQ(nl_vm_get(l.nl, l.id, &vm), 0);
	CHECK(vm.balloon[EMYS_A_BALLOON_ACTIVE] >= 4 * BLOCK_PAGES);
	end();
}

KSFT_MAIN(
	{ "largepage: no pressure", test_no_pressure, 60 },
	{ "largepage: cold duplicates and zeros", test_proactive, 60 },
	{ "largepage: nothing to share, nothing broken", test_private, 60 },
	{ "largepage: hot and shareable", test_hot_shareable, 60 },
	{ "largepage: never", test_never, 60 },
	{ "largepage: on demand", test_demand, 60 },
	{ "largepage: small only", test_small, 60 },
	{ "largepage: a VM's own policy", test_own_policy, 60 },
	{ "largepage: collapse", test_collapse, 60 },
	{ "largepage: a partner changed", test_changed, 60 },
	{ "largepage: a partner in use", test_partner_in_use, 60 },
	{ "largepage: broken in vain", test_in_vain, 60 },
	{ "largepage: deduplication is late", test_late, 60 },
	{ "largepage: hysteresis", test_hysteresis, 60 },
	{ "largepage: the host's own memory", test_host_memory, 60 },
	{ "largepage: event", test_event, 60 },
	{ "largepage: throttle", test_throttle, 60 },
	{ "largepage: shrinker", test_shrinker, 60 },
	{ "largepage: working set", test_working_set, 60 },
)
