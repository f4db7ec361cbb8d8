// SPDX-License-Identifier: GPL-2.0-only
/* netlink/events: each event of the family emys, and who may hear it */
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "owned.h"

#define NOBODY	1000
#define OWN(vm)	(0x80000000u | (vm))
#define MANY	2000
#define BURST	256			/* of one kind, in a second */

#define CHECK_DONE(call)							\
	do {									\
		int _r = (call);						\
		CHECK_MSG(!_r, "%s is %d (%s)", #call, _r, nl->text);		\
	} while (0)

static struct nl *begin(void)
{
	struct nl *nl;

	REQUIRE(ksft_is_emys(), "not emys");
	nl = nl_open();
	nl_listen(nl);
	CHECK_OK(setsockopt(nl->event_fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 8 << 20 },
			    sizeof(int)));
	return nl;
}

static bool event_has(const struct nl_event *e, u16 type)
{
	return e->has & 1ull << type;
}

/* The next event of the kind: what other threads of the module tell is passed over. */
static void wait_event(struct nl *nl, u8 cmd, struct nl_event *e)
{
	do {
		CHECK_MSG(nl_event(nl, e, 10000), "event %u does not come", cmd);
		CHECK(event_has(e, EMYS_A_EVENT_TIME) && e->a[EMYS_A_EVENT_TIME]);
	} while (e->cmd != cmd);
}

/* -- each ----------------------------------------------------------------------- */

static void test_vm(void)
{
	struct nl *nl = begin();
	struct timespec t;
	struct nl_event e;
	u64 before;
	int status;
	pid_t pid;
	u32 id;

	CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &t));
	before = t.tv_sec * 1000000000ull + t.tv_nsec;
	pid = CHECK_OK(fork());
	if (!pid) {
		int dev = CHECK_OK(open(ksft_device, O_RDWR));

		CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
		CHECK_OK(ioctl(dev, KVM_CREATE_VM, 0));
		_exit(0);
	}
	wait_event(nl, EMYS_CMD_VM_NEW, &e);
	id = e.a[EMYS_A_EVENT_VM];
	CHECK(id);
	CHECK_EQ(e.a[EMYS_A_EVENT_PID], pid);
	CHECK_EQ(e.a[EMYS_A_EVENT_UID], NOBODY);
	CHECK(e.a[EMYS_A_EVENT_TIME] >= before);
	CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &t));
	CHECK(e.a[EMYS_A_EVENT_TIME] <= t.tv_sec * 1000000000ull + t.tv_nsec);
	wait_event(nl, EMYS_CMD_VM_GONE, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_VM], id);
	CHECK_EQ(e.a[EMYS_A_EVENT_PID], pid);
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
}

static void test_pressure(void)
{
	struct nl *nl = begin();
	struct owned o = owned_make();
	struct nl_module was;
	struct nl_event e;

	memset(o.mem, 1, OWNED_PAGES * PAGE);
	CHECK_DONE(nl_module_get(nl, &was));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_MIN_FREE, 1000));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, OWNED_PAGES));
	wait_event(nl, EMYS_CMD_PRESSURE, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_WAS], was.stats[EMYS_A_RECLAIM_STATS_STATE]);
	CHECK_EQ(e.a[EMYS_A_EVENT_STATE], EMYS_HOST_STATE_LOW);
	CHECK(e.a[EMYS_A_EVENT_USED] >= OWNED_PAGES);
	CHECK_EQ(e.a[EMYS_A_EVENT_BUDGET], OWNED_PAGES);
	CHECK(event_has(&e, EMYS_A_EVENT_FREE));
	CHECK_EQ(e.a[EMYS_A_EVENT_FREE], 0);
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET,
				     was.reclaim[EMYS_A_RECLAIM_POLICY_BUDGET]));
	wait_event(nl, EMYS_CMD_PRESSURE, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_WAS], EMYS_HOST_STATE_LOW);
	CHECK(e.a[EMYS_A_EVENT_STATE] < EMYS_HOST_STATE_LOW);
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_MIN_FREE,
				     was.reclaim[EMYS_A_RECLAIM_POLICY_MIN_FREE]));
}

static void test_pass(void)
{
	struct nl *nl = begin();
	struct owned o = owned_make();
	u32 vm = nl_my_vm(nl, 0), id = OWN(vm);
	u64 merged = 0, scanned = 0, passes = 0;
	struct nl_domain d;
	struct nl_event e;

	CHECK_DONE(nl_vm_large(nl, vm, EMYS_LARGE_POLICY_SMALL));
	for (int i = 0; i < 3; i++)
		CHECK_DONE(nl_round(nl));
	for (int i = 0; i < 100; i++)
		memset(o.mem + i * PAGE, 7, PAGE);
	CHECK_DONE(nl_domain_policy(nl, id, EMYS_A_DEDUP_POLICY_RUN, 0));
	CHECK_DONE(nl_domain_reset(nl, id));
	CHECK_DONE(nl_scan(nl, id, 4));
	for (int i = 0; i < 4; i++) {
		wait_event(nl, EMYS_CMD_PASS_END, &e);
		CHECK_EQ(e.a[EMYS_A_EVENT_DOMAIN], id);
		passes = e.a[EMYS_A_EVENT_PASSES];
		CHECK_EQ(passes, i + 1);
		CHECK(e.a[EMYS_A_EVENT_TICKS]);
		merged += e.a[EMYS_A_EVENT_MERGED];
		scanned += e.a[EMYS_A_EVENT_SCANNED];
	}
	CHECK_DONE(nl_domain_get(nl, id, &d));
	CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_PASSES], 4);
	CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_MERGED], merged);
	CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_SCANNED], scanned);
	CHECK_EQ(merged, 100);
}

/* The guest is a hand that gives pages: the target is told, and that it was reached. */
static void test_balloon(void)
{
	struct nl *nl = begin();
	struct owned o = owned_make();
	u32 id = nl_my_vm(nl, 0);
	struct nl_event e;

	memset(o.mem, 1, OWNED_PAGES * PAGE);
	CHECK_DONE(nl_vm_target(nl, id, 300));
	wait_event(nl, EMYS_CMD_BALLOON_TARGET, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_VM], id);
	CHECK_EQ(e.a[EMYS_A_EVENT_TARGET], 300);
	CHECK_EQ(e.a[EMYS_A_EVENT_ACTUAL], OWNED_PAGES);
	CHECK_DONE(nl_round(nl));
	while (nl_event(nl, &e, 100))
		CHECK(e.cmd != EMYS_CMD_BALLOON_REACHED);
	CHECK_OK(madvise(o.mem + 300 * PAGE, (OWNED_PAGES - 300) * PAGE, MADV_REMOVE));
	CHECK_DONE(nl_round(nl));
	wait_event(nl, EMYS_CMD_BALLOON_REACHED, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_VM], id);
	CHECK_EQ(e.a[EMYS_A_EVENT_TARGET], 300);
	CHECK_EQ(e.a[EMYS_A_EVENT_ACTUAL], 300);
	/* once only */
	CHECK_DONE(nl_round(nl));
	while (nl_event(nl, &e, 100))
		CHECK(e.cmd != EMYS_CMD_BALLOON_REACHED);
	/* a target that is refused is not told */
	CHECK_EQ(nl_vm_target(nl, id, OWNED_PAGES + 1), -EINVAL);
	while (nl_event(nl, &e, 100))
		CHECK(e.cmd != EMYS_CMD_BALLOON_TARGET);
}

static void test_storm(void)
{
	struct nl *nl = begin();
	struct owned o = owned_make();
	u32 id = nl_my_vm(nl, 0);
	struct nl_module was;
	struct nl_event e;

	CHECK_DONE(nl_module_get(nl, &was));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, 3600000));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_STORM, 1));
	memset(o.mem, 1, OWNED_PAGES * PAGE);
	CHECK_OK(madvise(o.mem, OWNED_PAGES * PAGE, MADV_REMOVE));
	CHECK_DONE(nl_round(nl));
	memset(o.mem, 1, OWNED_PAGES * PAGE);
	usleep(20000);
	CHECK_DONE(nl_round(nl));
	wait_event(nl, EMYS_CMD_PAGE_STORM, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_VM], id);
	CHECK(e.a[EMYS_A_EVENT_REFAULTED] >= OWNED_PAGES / 10);
	CHECK(event_has(&e, EMYS_A_EVENT_COPIED));
	/* calm */
	usleep(20000);
	CHECK_DONE(nl_round(nl));
	while (nl_event(nl, &e, 100))
		CHECK(e.cmd != EMYS_CMD_PAGE_STORM);
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_STORM,
				     was.reclaim[EMYS_A_RECLAIM_POLICY_STORM]));
	CHECK_DONE(nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_MS,
				     was.reclaim[EMYS_A_RECLAIM_POLICY_SAMPLE_MS]));
}

/* -- too many ------------------------------------------------------------------------- */

/* Who sets targets fast is cut off, and what was left out is counted. */
static void test_withheld(void)
{
	struct nl *nl = begin();
	unsigned int told = 0, withheld = 0;
	u64 first = 0, last, seconds;
	struct nl_event e;
	u32 id;

	owned_make();
	id = nl_my_vm(nl, 0);
	for (unsigned int i = 0; i < MANY; i++)
		CHECK_DONE(nl_vm_target(nl, id, i % OWNED_PAGES));
	usleep(1200000);
	CHECK_DONE(nl_vm_target(nl, id, 5));
	do {
		wait_event(nl, EMYS_CMD_BALLOON_TARGET, &e);
		told++;
		withheld += e.a[EMYS_A_EVENT_WITHHELD];
		last = e.a[EMYS_A_EVENT_TIME];
		if (!first)
			first = last;
	} while (told + withheld < MANY + 1);
	seconds = (last - first) / 1000000000;
	ksft_print("%u told, %u withheld in %llu s", told, withheld, (unsigned long long)seconds);
	CHECK_EQ(told + withheld, MANY + 1);
	CHECK(told <= BURST * (seconds + 1));
	/* a host that watches itself may be too slow to be cut off */
	CHECK(withheld || MANY <= BURST * (seconds + 1));
	CHECK_EQ(e.a[EMYS_A_EVENT_TARGET], 5);
}

/* Who does not listen loses events, and holds nobody up. */
static void test_deaf(void)
{
	struct nl *nl = begin();
	struct nl_event e;
	char byte;
	u32 id;

	CHECK_OK(setsockopt(nl->event_fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int)));
	owned_make();
	id = nl_my_vm(nl, 0);
	for (unsigned int i = 0; i < 100; i++)
		CHECK_DONE(nl_vm_target(nl, id, i));
	CHECK_EQ(recv(nl->event_fd, &byte, 1, 0), -1);
	CHECK_EQ(errno, ENOBUFS);
	while (nl_event(nl, &e, 0))
		;
	usleep(1100000);
	CHECK_DONE(nl_vm_target(nl, id, 77));
	wait_event(nl, EMYS_CMD_BALLOON_TARGET, &e);
	CHECK_EQ(e.a[EMYS_A_EVENT_TARGET], 77);
}

/* -- who may ---------------------------------------------------------------------------- */

/* Anybody hears targets, because anybody's VMM follows them; the rest is root's. */
static void test_stranger(void)
{
	struct nl *nl, *his;
	struct nl_event e;
	u32 id;

	REQUIRE(ksft_is_emys(), "not emys");
	nl = nl_open();
	owned_make();
	id = nl_my_vm(nl, 0);
	CHECK_OK(seteuid(NOBODY));
	his = nl_open();
	CHECK_EQ(nl_join(his, his->events), -EPERM);
	CHECK_EQ(nl_join(his, his->targets), 0);
	CHECK_OK(seteuid(0));
	CHECK_DONE(nl_vm_target(nl, id, 9));
	vm_create_bare(ksft_device);
	CHECK(nl_event(his, &e, 10000));
	CHECK_EQ(e.cmd, EMYS_CMD_BALLOON_TARGET);
	CHECK_EQ(e.a[EMYS_A_EVENT_TARGET], 9);
	CHECK(!nl_event(his, &e, 200));
}

KSFT_MAIN({ "a VM comes and goes", test_vm },
	  { "memory gets scarce and is free again", test_pressure },
	  { "passes end", test_pass },
	  { "a target is set and reached", test_balloon },
	  { "pages storm", test_storm },
	  { "too many", test_withheld, 60 },
	  { "nobody listens", test_deaf },
	  { "somebody else", test_stranger })
