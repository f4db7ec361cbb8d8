// SPDX-License-Identifier: GPL-2.0-only
/* vmctl stat: exits by reason, per VM and vCPU. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "util.h"
#include "vmctl.h"

/* One line: a counter and its value in each vCPU. */
struct row {
	const char *name;	/* of the reply */
	uint64_t total;
	uint64_t *v;
};

struct table {
	struct row *row;
	size_t nr;
	size_t cpus;
};

/* The exits of a guest's guest (L2), by who handled them: what the counters begin with. */
static const struct {
	const char *prefix, *title;
} handlers[] = {
	{ "nested_l1_", "by L1" },
	{ "nested_fast_", "L0, at once" },
	{ "nested_slow_", "L0, after" },
};

#define HANDLERS (sizeof(handlers) / sizeof(handlers[0]))

/* The column a counter belongs to, and the exit's name; -1: it is none of those. */
static int handler_of(const char *name, const char **reason)
{
	for (size_t i = 0; i < HANDLERS; i++) {
		size_t n = strlen(handlers[i].prefix);

		if (!strncmp(name, handlers[i].prefix, n)) {
			*reason = name + n;
			return i;
		}
	}
	return -1;
}

static int by_total(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return strcmp(x->name, y->name);
}

static struct row *row_get(struct table *t, const char *name)
{
	struct row *r;

	for (size_t i = 0; i < t->nr; i++)
		if (!strcmp(t->row[i].name, name))
			return &t->row[i];
	r = realloc(t->row, (t->nr + 1) * sizeof(*r));
	if (!r)
		return NULL;
	t->row = r;
	r += t->nr;
	r->name = name;
	r->total = 0;
	r->v = calloc(t->cpus, sizeof(*r->v));
	if (!r->v)
		return NULL;
	t->nr++;
	return r;
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->nr; i++)
		free(t->row[i].v);
	free(t->row);
}

/* The counter's value before, for a difference; 0 without an earlier reply. */
static uint64_t earlier(const json_t *old, size_t cpu, const char *group,
			const char *name)
{
	const json_t *v = json_array_get(json_object_get(old, "vcpus"), cpu);

	v = json_object_get(json_object_get(v, group), name);
	return json_integer_value(v);
}

/* Print one group ("counters", "user_exits") of all vCPUs, largest first. */
static void print_group(const json_t *now, const json_t *old,
			const char *group, const char *title)
{
	const json_t *vcpus = json_object_get(now, "vcpus");
	struct table t = { .cpus = json_array_size(vcpus) };
	const char *name;
	json_t *vcpu, *v;
	size_t i;

	json_array_foreach(vcpus, i, vcpu) {
		json_object_foreach(json_object_get(vcpu, group), name, v) {
			uint64_t n = json_integer_value(v) -
				     earlier(old, i, group, name);
			const char *reason;
			struct row *r;

			if (!json_is_integer(v) || !n ||
			    handler_of(name, &reason) >= 0)
				continue;
			r = row_get(&t, name);
			if (!r)
				goto out;
			r->v[i] = n;
			r->total += n;
		}
	}
	if (!t.nr)
		goto out;
	if (t.nr > 1)
		qsort(t.row, t.nr, sizeof(*t.row), by_total);
	printf("%-36s %14s", title, "total");
	for (i = 0; i < t.cpus && t.cpus > 1; i++)
		printf(" %8s%-3zu", "vcpu", i);
	printf("\n");
	for (size_t r = 0; r < t.nr; r++) {
		printf("  %-34s %14" PRIu64, t.row[r].name, t.row[r].total);
		for (i = 0; i < t.cpus && t.cpus > 1; i++)
			printf(" %11" PRIu64, t.row[r].v[i]);
		printf("\n");
	}
out:
	table_free(&t);
}

/* The exits of all guests in this guest, whatever its vCPU: nothing where it has none. */
static void print_nested(const json_t *now, const json_t *old)
{
	struct table t = { .cpus = HANDLERS };
	const char *name, *reason;
	json_t *vcpu, *v;
	size_t i;

	json_array_foreach(json_object_get(now, "vcpus"), i, vcpu) {
		json_object_foreach(json_object_get(vcpu, "counters"), name, v) {
			int column = handler_of(name, &reason);
			struct row *r;
			uint64_t n;

			if (column < 0)
				continue;
			n = json_integer_value(v) -
			    earlier(old, i, "counters", name);
			if (!n)
				continue;
			r = row_get(&t, reason);
			if (!r)
				goto out;
			r->v[column] += n;
			r->total += n;
		}
	}
	if (!t.nr)
		goto out;
	qsort(t.row, t.nr, sizeof(*t.row), by_total);
	printf("%-36s %14s", "exits of its guests (L2), handled", "total");
	for (i = 0; i < HANDLERS; i++)
		printf(" %11s", handlers[i].title);
	printf("\n");
	for (size_t r = 0; r < t.nr; r++) {
		printf("  %-34s %14" PRIu64, t.row[r].name, t.row[r].total);
		for (i = 0; i < HANDLERS; i++)
			printf(" %11" PRIu64, t.row[r].v[i]);
		printf("\n");
	}
out:
	table_free(&t);
}

static void print_vm_counters(const json_t *now)
{
	const char *name;
	json_t *v;
	bool any = false;

	json_object_foreach(json_object_get(now, "counters"), name, v) {
		if (!json_is_integer(v) || !json_integer_value(v))
			continue;
		if (!any)
			printf("%-36s %14s\n", "VM, by the kernel", "value");
		any = true;
		printf("  %-34s %14lld\n", name,
		       (long long)json_integer_value(v));
	}
}

static void print_vm(const json_t *now, const json_t *old)
{
	json_t *n = json_object_get(now, "name");

	printf("%s: up %.3f s\n", json_string_value(n) ?: "?",
	       json_integer_value(json_object_get(now, "uptime_ms")) / 1e3);
	print_group(now, old, "counters", "vCPUs, by the kernel");
	print_nested(now, old);
	print_group(now, old, "user_exits", "exits to vmctl");
	print_vm_counters(now);
	fflush(stdout);
}

/* Replies of the VMs asked for; NULL after a message. */
static json_t *fetch(const char *name)
{
	json_t *vm, *all;

	if (!name)
		return ctl_request_all("stat");
	vm = ctl_request(name, "stat");
	if (!vm)
		return NULL;
	all = json_array();
	json_array_append_new(all, vm);
	return all;
}

static const json_t *find(const json_t *all, const char *name)
{
	json_t *vm;
	size_t i;

	json_array_foreach(all, i, vm) {
		const char *s = json_string_value(json_object_get(vm, "name"));

		if (name && s && !strcmp(s, name))
			return vm;
	}
	return NULL;
}

static void print_all(const json_t *now, const json_t *old, bool json)
{
	json_t *vm;
	size_t i;

	if (json) {
		json_dumpf(now, stdout, JSON_INDENT(2));
		printf("\n");
		fflush(stdout);
		return;
	}
	json_array_foreach(now, i, vm) {
		const char *s = json_string_value(json_object_get(vm, "name"));

		print_vm(vm, find(old, s));
	}
}

/* Every @interval seconds the difference to the time before, until it ends. */
static int watch(const char *name, double interval, bool json)
{
	const struct timespec ts = {
		.tv_sec = interval,
		.tv_nsec = (interval - (long)interval) * 1e9,
	};
	json_t *old = NULL, *now = fetch(name);
	int status = now ? EXIT_OK : EXIT_FAIL;

	while (now && json_array_size(now)) {
		print_all(now, old, json);
		json_decref(old);
		old = now;
		nanosleep(&ts, NULL);
		now = fetch(name);
	}
	json_decref(old);
	json_decref(now);
	return status;
}

static int stat(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	double interval = 0;
	bool json = false;
	const char *name;
	json_t *now;
	char *end;
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "i:jh", options, NULL)) != -1) {
		if (opt == 'j') {
			json = true;
		} else if (opt == 'i') {
			interval = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(interval > 0 && interval <= 1e6)) {
				msg("--interval %s: not a number of seconds above 0",
				    optarg);
				return EXIT_USAGE;
			}
		} else if (opt == 'h') {
			return command_help(&cmd_stat);
		} else {
			return command_usage(&cmd_stat);
		}
	}
	if (argc - optind > 1) {
		msg("stat: one VM at a time, or none for all");
		return command_usage(&cmd_stat);
	}
	name = argv[optind];
	if (interval > 0)
		return watch(name, interval, json);
	now = fetch(name);
	if (!now)
		return EXIT_FAIL;
	print_all(now, NULL, json);
	json_decref(now);
	return EXIT_OK;
}

const struct command cmd_stat = {
	.name = "stat",
	.run = stat,
	.usage = "stat [VM] [--interval SECONDS] [--json]",
	.summary = "count exits by reason, per VM and vCPU",
	.help =
"  -i, --interval SECONDS   print the differences again and again\n"
"  -j, --json               an array of objects, with all counters\n\n"
"VM is a name or the process id of its vmctl run; without it all are shown.\n"
"Counters that are zero are left out of the tables.\n",
};
