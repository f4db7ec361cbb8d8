// SPDX-License-Identifier: GPL-2.0-only
/*
 * stress/drive: work on the memory of running VMs from all sides the module has.
 *
 * usage: drive DOMAIN SECONDS PID...
 *
 * The VMs of the processes PID are put into the domain. It is scanned without a pause, for a fifth of the
 * time by each algorithm, and at least until that has merged something. Another process changes the
 * VMs' policies for large pages and the budget of the module, so that large pages break and pressure
 * comes and goes; and takes one VM after the other out of the domain, which makes all its memory private,
 * has its large pages broken and made again, and puts it back, so that there is always something to merge.
 *
 * One line for each algorithm, "algorithm NAME ...", as it ends; other lines are for people. Status 1:
 * not everything was done.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nl.h"

#define MAX_VMS		16
#define FEW		50		/* merged pages that show that an algorithm works */
#define MOST		60		/* seconds more that an algorithm gets for that */
#define STEP		256		/* pages; who samples large pages waits for the end of one */
#define ALONE_ROUNDS	24		/* a large page broken in vain comes back after 16 */

static const char * const algorithms[] = {
	[EMYS_DEDUP_ALGORITHM_EMYS] = "emys",
	[EMYS_DEDUP_ALGORITHM_KSM] = "ksm",
	[EMYS_DEDUP_ALGORITHM_CMD_ADDRESS] = "cmd-address",
	[EMYS_DEDUP_ALGORITHM_CMD_COUNT] = "cmd-count",
	[EMYS_DEDUP_ALGORITHM_CMD_SUBPAGE] = "cmd-subpage",
};

static u32 domain, vms[MAX_VMS];
static unsigned int nr_vms;

static void must(struct nl *nl, int rc, const char *what)
{
	if (!rc)
		return;
	printf("drive: %s: %s %s\n", what, strerror(-rc), nl->text);
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void nap_ms(unsigned int ms)
{
	struct timespec ts = { 0, ms * 1000000 };

	nanosleep(&ts, NULL);
}

static u32 find_vm(struct nl *nl, u64 pid)
{
	static struct nl_vm all[64];
	int n = nl_vms(nl, all, 64);

	for (int i = 0; i < n && i < 64; i++)
		if (all[i].a[EMYS_A_VM_PID] == pid)
			return all[i].a[EMYS_A_VM_ID];
	printf("drive: process %llu has no VM\n", (unsigned long long)pid);
	exit(1);
}

/* Of all the VMs, ever. */
static u64 count(struct nl *nl, u32 attr)
{
	static struct nl_vm vm;
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_vms; i++) {
		must(nl, nl_vm_get(nl, vms[i], &vm), "vm");
		sum += vm.counts[attr];
	}
	return sum;
}

static u64 stat(struct nl *nl, u32 attr)
{
	static struct nl_domain d;

	must(nl, nl_domain_get(nl, domain, &d), "domain");
	return d.stats[attr];
}

static void say_counts(struct nl *nl)
{
	static const struct { const char *name; u32 attr; } counts[] = {
		{ "merged", EMYS_A_COUNTS_MERGED }, { "zeroed", EMYS_A_COUNTS_ZEROED },
		{ "copied", EMYS_A_COUNTS_COPIED }, { "unshared", EMYS_A_COUNTS_UNSHARED },
		{ "broken", EMYS_A_COUNTS_BROKEN }, { "collapsed", EMYS_A_COUNTS_COLLAPSED },
		{ "of them in place", EMYS_A_COUNTS_KEPT },
		{ "punched", EMYS_A_COUNTS_PUNCHED }, { "touched again", EMYS_A_COUNTS_REFAULTED },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(counts); i++)
		printf("%s%s %llu", i ? ", " : "", counts[i].name,
		       (unsigned long long)count(nl, counts[i].attr));
	printf("\n");
}

static void scan_by(struct nl *nl, u32 algorithm, double seconds)
{
	u64 merged = stat(nl, EMYS_A_DEDUP_STATS_MERGED), passes = stat(nl, EMYS_A_DEDUP_STATS_PASSES);
	u64 zeroed = stat(nl, EMYS_A_DEDUP_STATS_ZEROED), copied = count(nl, EMYS_A_COUNTS_COPIED);
	double begin = now(), took;

	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_ALGORITHM, algorithm), "algorithm");
	do {
		nap_ms(200);
		took = now() - begin;
	} while (took < seconds || (took < seconds + MOST &&
				    stat(nl, EMYS_A_DEDUP_STATS_MERGED) - merged < FEW));
	merged = stat(nl, EMYS_A_DEDUP_STATS_MERGED) - merged;
	printf("algorithm %s %.0f s, passes %llu merged %llu zeroed %llu copied %llu\n",
	       algorithms[algorithm], took,
	       (unsigned long long)(stat(nl, EMYS_A_DEDUP_STATS_PASSES) - passes),
	       (unsigned long long)merged,
	       (unsigned long long)(stat(nl, EMYS_A_DEDUP_STATS_ZEROED) - zeroed),
	       (unsigned long long)(count(nl, EMYS_A_COUNTS_COPIED) - copied));
	if (merged < FEW) {
		printf("drive: %s did too little\n", algorithms[algorithm]);
		exit(1);
	}
}

/* The module's thread scans, without sleep, and may have all of a CPU. */
static void scan(double seconds)
{
	struct nl *nl = nl_open();

	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_ADAPTIVE, 0), "adaptive");
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_PAGES, STEP), "pages");
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_SLEEP_MS, 0), "sleep-ms");
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1000), "cpu-permille");
	must(nl, nl_domain_policy(nl, domain, EMYS_A_DEDUP_POLICY_RUN, 1), "run");
	for (u32 i = 0; i < ARRAY_SIZE(algorithms); i++)
		scan_by(nl, i, seconds / ARRAY_SIZE(algorithms));
	exit(0);
}

/* The VM's memory becomes private; its large pages are broken, and made again. */
static void alone(struct nl *nl, u32 vm)
{
	u64 was = count(nl, EMYS_A_COUNTS_COLLAPSED);
	int rc = nl_vm_domain(nl, vm, domain + vm);

	/* There may be no memory for what it shared: then it stays as it was */
	if (rc == -ENOMEM)
		return;
	must(nl, rc, "alone");
	must(nl, nl_domain_policy(nl, domain + vm, EMYS_A_DEDUP_POLICY_RUN, 0), "run");
	must(nl, nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0), "budget");
	must(nl, nl_vm_large(nl, vm, EMYS_LARGE_POLICY_SMALL), "large");
	for (unsigned int i = 0; i < 3; i++)
		must(nl, nl_round(nl), "round");
	must(nl, nl_vm_large(nl, vm, EMYS_LARGE_POLICY_NEVER), "large");
	for (unsigned int i = 0; i < ALONE_ROUNDS && count(nl, EMYS_A_COUNTS_COLLAPSED) == was; i++)
		must(nl, nl_round(nl), "round");
	must(nl, nl_vm_domain(nl, vm, domain), "back");
}

/* What is left to be done: the first count that is 0 of these, or 0. */
static u32 lacking(struct nl *nl)
{
	static const u32 wanted[] = {
		EMYS_A_COUNTS_COPIED, EMYS_A_COUNTS_UNSHARED, EMYS_A_COUNTS_BROKEN,
		EMYS_A_COUNTS_COLLAPSED, EMYS_A_COUNTS_PUNCHED, EMYS_A_COUNTS_REFAULTED,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!count(nl, wanted[i]))
			return wanted[i];
	return 0;
}

static void press(pid_t scanner)
{
	static const u32 policies[] = {
		EMYS_LARGE_POLICY_PROACTIVE, EMYS_LARGE_POLICY_DEMAND, EMYS_LARGE_POLICY_NEVER,
		EMYS_LARGE_POLICY_SMALL,
	};
	static const u32 percent[] = { 0, 150, 100, 80, 0, 102 };
	struct nl *nl = nl_open();
	struct nl_module mod;
	double ended = 0;

	/* The thread that scans shall get its part of the CPUs */
	if (nice(10) < 0)
		exit(1);
	must(nl, nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_COLD_SAMPLES, 1), "cold-samples");
	/* Each sample waits for a step of the scan, which is always under way */
	must(nl, nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES, 1), "sample-pages");
	for (unsigned int n = 0; ; n++) {
		if (!ended && kill(scanner, 0))
			ended = now();
		/* The domain is scanned by the last of the algorithms then. */
		if (ended && (!lacking(nl) || now() - ended > MOST))
			break;
		for (unsigned int i = 0; i < nr_vms; i++)
			must(nl, nl_vm_large(nl, vms[i], policies[(n / 2 + i) % 4]), "large");
		must(nl, nl_module_get(nl, &mod), "module");
		must(nl, nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET,
					   mod.a[EMYS_A_MODULE_PAGES] * percent[n % 6] / 100), "budget");
		must(nl, nl_round(nl), "round");
		nap_ms(400);
		if (n % 4 == 1)
			alone(nl, vms[n / 4 % nr_vms]);
		if (n % 4 == 0)
			say_counts(nl);
	}
	must(nl, nl_reclaim_policy(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0), "budget");
	for (unsigned int i = 0; i < nr_vms; i++)
		must(nl, nl_vm_large(nl, vms[i], EMYS_LARGE_POLICY_MODULE), "large");
	exit(0);
}

int main(int argc, char **argv)
{
	struct nl *nl = nl_open();
	struct nl_module mod;
	pid_t scanner;
	int status, bad = 0;

	if (argc < 4 || argc - 3 > MAX_VMS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	domain = strtoul(argv[1], NULL, 0);
	for (int i = 3; i < argc; i++) {
		vms[nr_vms] = find_vm(nl, strtoul(argv[i], NULL, 0));
		must(nl, nl_vm_domain(nl, vms[nr_vms++], domain), "domain");
	}
	scanner = fork();
	if (!scanner)
		scan(atof(argv[2]));
	if (!fork())
		press(scanner);
	/* It is gone, for the other, when it has been waited for. */
	while (wait(&status) > 0)
		bad |= status;
	say_counts(nl);
	must(nl, nl_module_get(nl, &mod), "module");
	printf("pressure changed %llu times; the kernel asked, and got %llu pages; %llu pages waited\n",
	       (unsigned long long)mod.stats[EMYS_A_RECLAIM_STATS_CHANGES],
	       (unsigned long long)mod.stats[EMYS_A_RECLAIM_STATS_SHRUNK],
	       (unsigned long long)mod.stats[EMYS_A_RECLAIM_STATS_WAITS]);
	/* Otherwise nothing was stressed. */
	if (lacking(nl)) {
		printf("drive: count %u stayed 0\n", lacking(nl));
		bad = 1;
	}
	return bad || mod.stats[EMYS_A_RECLAIM_STATS_CHANGES] < 4 ? 1 : 0;
}
