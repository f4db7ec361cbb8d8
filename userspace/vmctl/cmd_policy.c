// SPDX-License-Identifier: GPL-2.0-only
/* vmctl policy: a daemon that shares scarce memory out among the VMs. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "fleet.h"
#include "nl.h"
#include "policy.h"
#include "util.h"
#include "vmctl.h"

#define DEFAULT_MIN	(64 * MIB)
#define DEFAULT_PART	80	/* per cent of the host's memory, without a budget */
#define SPARE		(16 * MIB)	/* above what a guest uses now */

struct options {
	struct policy_params params;
	uint64_t budget;	/* 0: the module's, or a part of the host's */
	uint64_t min;
	double interval;
	bool dry, json, once, release;
};

enum { OPT_DRY = 0x100, OPT_ONCE, OPT_RELEASE, OPT_MIN };

static unsigned long long mib(uint64_t v)
{
	return v / MIB;
}

/* What the pure part is to know of a VM. */
static struct policy_vm facts(const struct fleet_vm *vm, uint64_t min)
{
	struct policy_vm p = {
		.size = vm->size, .shares = vm->shares, .driver = vm->driver,
		.target = vm->target, .actual = vm->actual,
		.min = vm->min ? vm->min : min,
	};

	if (p.min > p.size)
		p.min = p.size;
	/* Without an estimate all of it counts as in use. */
	p.active = vm->active == FLEET_UNKNOWN ? vm->actual : vm->active;
	if (vm->available <= vm->actual)
		p.need = vm->actual - vm->available + SPARE;
	return p;
}

static uint64_t budget_of(const struct options *o, const struct fleet *fleet)
{
	if (o->budget)
		return o->budget;
	return fleet->budget ? fleet->budget :
	       fleet->total / 100 * DEFAULT_PART;
}

/* Tell one VM; true if it took it. */
static bool tell(const struct fleet_vm *vm, uint64_t bytes, struct family *f)
{
	json_t *reply, *set;
	bool done;

	/* The module's record of it: who watches events sees it reached. */
	if (f && vm->id) {
		set = json_pack("{s:i, s:I}", "id", vm->id, "target",
				(json_int_t)(bytes / 4096));
		family_call(f, EMYS_CMD_VM_SET, set, NULL);
		json_decref(set);
	}
	reply = ctl_request_json(vm->name, json_pack("{s:s, s:I}", "cmd",
						     "balloon", "target",
						     (json_int_t)bytes));
	done = reply;
	json_decref(reply);
	return done;
}

static json_t *describe(const struct fleet_vm *vm, const struct policy_vm *p)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:b, s:b}",
			 "name", vm->name, "size", (json_int_t)p->size,
			 "minimum", (json_int_t)p->min,
			 "actual", (json_int_t)p->actual,
			 "active", (json_int_t)p->active,
			 "shares", (json_int_t)p->shares,
			 "target", (json_int_t)p->target, "rho", p->rho,
			 "goal", (json_int_t)p->goal, "set", p->set,
			 "driver", p->driver);
}

static void print_round(const struct policy_host *host, const char *step,
			bool taking, json_t *vms)
{
	json_t *out = json_pack("{s:I, s:I, s:s, s:f, s:s, s:b, s:o}", "budget",
				(json_int_t)host->budget, "used",
				(json_int_t)host->used, "state",
				nl_host_state[host->state], "psi", host->psi,
				"step", step, "taking", taking, "vms", vms);

	json_dumpf(out, stdout, JSON_COMPACT);
	printf("\n");
	fflush(stdout);
	json_decref(out);
}

/* The steps before ballooning are the module's; it does them while we wait. */
static void walk(const struct options *o, const struct fleet *fleet,
		 enum policy_step step, struct family *f)
{
	json_t *domain, *scan;
	size_t i;
	int rc = 0;

	if (!o->json)
		msg("policy: tasks stall for memory: %s%s", step == POLICY_SCAN ?
		    "a look for zero pages and duplicates" :
		    "large pages with something to share are broken",
		    o->dry ? ", not done" : "");
	if (o->dry)
		return;
	if (step == POLICY_BREAK) {
		rc = family_call(f, EMYS_CMD_RECLAIM_ROUND, NULL, NULL);
	} else {
		json_array_foreach(fleet->domains, i, domain) {
			if (!family_int(domain, "vms", 0))
				continue;
			scan = json_pack("{s:I}", "domain",
					 (json_int_t)family_int(domain, "id", 0));
			rc = family_call(f, EMYS_CMD_DEDUP_SCAN, scan, NULL) ?: rc;
			json_decref(scan);
		}
	}
	if (rc && !o->json)
		msg("policy: %s", family_error(f));
}

static int round_of(const struct options *o, struct policy_memory *memory,
		    struct family *f)
{
	static const char *const steps[] = { "rest", "scan", "break", "balloon" };
	struct policy_host host = { .module = f };
	enum policy_step step = memory->step;
	bool was = memory->taking;
	struct policy_vm *p;
	struct fleet fleet;
	unsigned int nr = 0;
	json_t *vms;

	if (fleet_read(&fleet, f, false))
		return -ENOMEM;
	p = calloc(fleet.nr + 1, sizeof(*p));
	if (!p) {
		fleet_free(&fleet);
		return -ENOMEM;
	}
	host.budget = budget_of(o, &fleet);
	host.used = fleet.used;
	host.state = fleet.state > 0 ? fleet.state : POLICY_HIGH;
	host.psi = fleet.psi > 0 ? fleet.psi : 0;
	/* VMs that nobody can tell anything have what they have. */
	for (unsigned int i = 0; i < fleet.nr; i++) {
		struct fleet_vm *vm = &fleet.vm[i];

		if (!vm->control || vm->target == FLEET_UNKNOWN)
			continue;
		p[nr] = facts(vm, o->min);
		fleet.vm[nr++] = *vm;
	}
	policy_round(&o->params, &host, memory, p, nr);
	if (memory->step != step && (memory->step == POLICY_SCAN ||
				     memory->step == POLICY_BREAK))
		walk(o, &fleet, memory->step, f);
	if (memory->taking != was && !o->json)
		msg("policy: %s: guests use %llu of %llu MiB, host state %s, stalls %.1f %%",
		    memory->taking ? "memory is scarce, taking" :
		    "enough memory, giving back", mib(host.used),
		    mib(host.budget), fleet_state(&fleet), host.psi);
	vms = json_array();
	for (unsigned int i = 0; i < nr; i++) {
		if (p[i].set && !o->json)
			msg("policy: %s: %llu -> %llu MiB (has %llu, works with %llu, %llu shares)%s",
			    fleet.vm[i].name, mib(p[i].target), mib(p[i].goal),
			    mib(p[i].actual), mib(p[i].active),
			    (unsigned long long)p[i].shares,
			    o->dry ? ", not done" : "");
		json_array_append_new(vms, describe(&fleet.vm[i], &p[i]));
		if (p[i].set && !o->dry)
			tell(&fleet.vm[i], p[i].goal, f);
	}
	if (o->json)
		print_round(&host, steps[memory->step], memory->taking, vms);
	else
		json_decref(vms);
	free(p);
	fleet_free(&fleet);
	return 0;
}

/* At the end, when asked for: everybody has everything. */
static void release(const struct options *o, struct family *f)
{
	struct fleet fleet;

	if (!o->release || o->dry || fleet_read(&fleet, f, false))
		return;
	for (unsigned int i = 0; i < fleet.nr; i++)
		if (fleet.vm[i].control && fleet.vm[i].target != FLEET_UNKNOWN)
			tell(&fleet.vm[i], fleet.vm[i].size, f);
	fleet_free(&fleet);
}

/* Drain events; true if one of them should not wait for the next round. */
static bool urgent(struct family *f)
{
	bool now = false;
	json_t *event;
	int rc;

	while ((rc = family_event(f, &event)) == 1) {
		const char *name = family_str(event, "event");

		now |= !strcmp(name, "pressure") || !strcmp(name, "vm-new") ||
		       !strcmp(name, "page-storm");
		json_decref(event);
	}
	return now || rc == -ENOBUFS;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Wait for the next round; false at the end. */
static bool wait_next(const struct options *o, struct family *f, int events,
		      int signals)
{
	struct pollfd fds[] = {
		{ signals, POLLIN, 0 }, { events, POLLIN, 0 },
	};
	long long end = now_ms() + o->interval * 1000, left;

	while ((left = end - now_ms()) > 0) {
		if (poll(fds, 2, left) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return false;
		/* Let what comes together come: guests need time to answer. */
		if (fds[1].revents && urgent(f) && end > now_ms() + 100)
			end = now_ms() + 100;
	}
	return true;
}

static int daemon_run(const struct options *o)
{
	struct policy_memory memory = { 0 };
	struct family *f = NULL;
	int signals, events = -1, rc;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	/* Without the module the guests' own figures have to do. */
	rc = family_open(&f);
	if (!rc)
		events = family_listen(f, true);
	if (!o->json)
		msg("policy: %s%s", rc ? "no module: by the guests' figures" :
		    "by the module's figures", o->dry ? ", dry run" : "");
	do {
		rc = round_of(o, &memory, f);
	} while (!rc && !o->once && wait_next(o, f, events, signals));
	release(o, f);
	if (f)
		family_close(f);
	close(signals);
	if (rc)
		msg("policy: %s", strerror(-rc));
	return rc ? EXIT_FAIL : EXIT_OK;
}

static int bad(const char *option, const char *value, const char *want)
{
	msg("--%s %s: %s", option, value, want);
	return EXIT_USAGE;
}

static int parse_number(const char *option, const char *s, double least,
			double most, double *out)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= least && v <= most)) {
		msg("--%s %s: not a number from %g to %g", option, s, least,
		    most);
		return EXIT_USAGE;
	}
	*out = v;
	return 0;
}

static int policy(int argc, char **argv)
{
	static const struct option options[] = {
		{ "budget", required_argument, NULL, 'b' },
		{ "min", required_argument, NULL, OPT_MIN },
		{ "tax", required_argument, NULL, 't' },
		{ "interval", required_argument, NULL, 'i' },
		{ "dry-run", no_argument, NULL, OPT_DRY },
		{ "once", no_argument, NULL, OPT_ONCE },
		{ "release", no_argument, NULL, OPT_RELEASE },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = {
		.params = policy_defaults, .min = DEFAULT_MIN, .interval = 2,
	};
	int opt, rc = 0;

	optind = 0;
	while (!rc && (opt = getopt_long(argc, argv, "b:t:i:jh", options,
					 NULL)) != -1) {
		switch (opt) {
		case 'b':
			if (parse_size(optarg, MIB, &o.budget) || !o.budget)
				rc = bad("budget", optarg, "not a size; say 4G");
			break;
		case OPT_MIN:
			if (parse_size(optarg, MIB, &o.min))
				rc = bad("min", optarg, "not a size; say 64M");
			break;
		case 't':
			rc = parse_number("tax", optarg, 0, 0.99, &o.params.tax);
			break;
		case 'i':
			rc = parse_number("interval", optarg, 0.1, 3600,
					  &o.interval);
			break;
		case OPT_DRY:
			o.dry = true;
			break;
		case OPT_ONCE:
			o.once = true;
			break;
		case OPT_RELEASE:
			o.release = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'h':
			return command_help(&cmd_policy);
		default:
			return command_usage(&cmd_policy);
		}
	}
	if (rc)
		return rc;
	if (optind < argc) {
		msg("policy: %s: not an option", argv[optind]);
		return command_usage(&cmd_policy);
	}
	return daemon_run(&o);
}

const struct command cmd_policy = {
	.name = "policy",
	.run = policy,
	.usage = "policy [--budget SIZE] [OPTIONS]",
	.summary = "share scarce memory out among the running VMs, until stopped",
	.help =
"  -b, --budget SIZE    for all guests together (the module's budget, or 80 % of\n"
"                       the host's memory)\n"
"      --min SIZE       of VMs that were given no --balloon-min (64M)\n"
"  -t, --tax RATE       on idle memory, 0 to 0.99 (0.75)\n"
"  -i, --interval S     seconds between two rounds (2)\n"
"      --dry-run        say what would be done\n"
"      --once           one round\n"
"      --release        at the end give everything back\n"
"  -j, --json           a line per round on stdout, with what it saw and decided\n\n"
"While guests use little of the budget they have all their memory. When they use\n"
"90 % of it, or the module's host state or the kernel's stall figures (PSI) say\n"
"that memory is scarce, 85 % of it are shared out by the VMs' shares and by how\n"
"much of it they work with, and their balloons take the rest. When things have\n"
"been easy for some rounds it is given back bit by bit. It stays in the\n"
"foreground; SIGTERM ends it, and the guests keep what they have then.\n",
};
