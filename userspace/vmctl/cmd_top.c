// SPDX-License-Identifier: GPL-2.0-only
/* vmctl top: the running VMs, what they use and what they do, again and again. */
#include <curses.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"
#include "nl.h"
#include "util.h"
#include "vmctl.h"

/* A look, and the time of it. */
struct look {
	struct fleet fleet;
	double at;		/* seconds, CLOCK_MONOTONIC */
};

/* Where lines go: a terminal's screen or stdout. */
struct sheet {
	bool screen;
	int row;
};

enum { OPT_ONCE = 0x100 };

enum order { BY_NAME, BY_CPU, BY_MEMORY, BY_SHARED };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void line(struct sheet *s, bool bold, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(struct sheet *s, bool bold, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!s->screen) {
		printf("%s\n", text);
		return;
	}
	if (bold)
		attron(A_REVERSE);
	/* What is too wide is cut, what is too long does not come. */
	if (s->row < LINES)
		mvaddnstr(s->row++, 0, text, COLS);
	if (bold)
		attroff(A_REVERSE);
}

static const struct fleet_vm *before(const struct look *old,
				     const struct fleet_vm *vm)
{
	for (unsigned int i = 0; i < old->fleet.nr; i++)
		if (old->fleet.vm[i].pid == vm->pid &&
		    !strcmp(old->fleet.vm[i].name, vm->name))
			return &old->fleet.vm[i];
	return NULL;
}

/* Exits in a second, or -1: not known (yet). */
static double rate(const struct look *old, const struct look *new,
		   const struct fleet_vm *vm)
{
	const struct fleet_vm *was = before(old, vm);

	if (!was || was->exits == FLEET_UNKNOWN ||
	    vm->exits == FLEET_UNKNOWN || vm->exits < was->exits ||
	    new->at <= old->at)
		return -1;
	return (vm->exits - was->exits) / (new->at - old->at);
}

static const char *size(uint64_t bytes, char *buf)
{
	if (bytes == FLEET_UNKNOWN)
		strcpy(buf, "-");
	else if (bytes >= 100 * GIB)
		snprintf(buf, 16, "%lluG", (unsigned long long)(bytes / GIB));
	else
		snprintf(buf, 16, "%lluM", (unsigned long long)(bytes / MIB));
	return buf;
}

static const char *count(double v, char *buf)
{
	if (v < 0)
		strcpy(buf, "-");
	else if (v >= 1e6)
		snprintf(buf, 16, "%.1fM", v / 1e6);
	else
		snprintf(buf, 16, "%.0f", v);
	return buf;
}

/* qsort() has no argument for these. */
static const struct look *sort_old, *sort_new;
static enum order sort_by;

static uint64_t known(uint64_t v)
{
	return v == FLEET_UNKNOWN ? 0 : v;
}

static int compare(const void *a, const void *b)
{
	const struct fleet_vm *x = a, *y = b;
	double v = 0, w = 0;

	if (sort_by == BY_CPU) {
		v = rate(sort_old, sort_new, x);
		w = rate(sort_old, sort_new, y);
	} else if (sort_by == BY_MEMORY) {
		v = known(x->resident);
		w = known(y->resident);
	} else if (sort_by == BY_SHARED) {
		v = known(x->shared);
		w = known(y->shared);
	}
	if (v != w)
		return v < w ? 1 : -1;
	return strcmp(x->name, y->name);
}

static json_t *domain(const struct fleet *fleet, long long id)
{
	json_t *o;
	size_t i;

	json_array_foreach(fleet->domains, i, o)
		if (family_int(o, "id", 0) == id)
			return o;
	return NULL;
}

/* A counter's growth in a second between two looks, -1: not known. */
static double growth(const struct look *old, const struct look *new,
		     const json_t *o, const char *key)
{
	json_t *was = domain(&old->fleet, family_int(o, "id", 0));
	long long a, b;

	a = family_int(json_object_get(was, "stats"), key, -1);
	b = family_int(json_object_get(o, "stats"), key, -1);
	if (a < 0 || b < a || new->at <= old->at)
		return -1;
	return (b - a) / (new->at - old->at);
}

static void draw_domains(struct sheet *s, const struct look *old,
			 const struct look *new)
{
	char c1[16], c2[16], c3[16], name[24];
	json_t *o;
	size_t i;

	if (!json_array_size(new->fleet.domains))
		return;
	line(s, false, "%s", "");
	line(s, true, "%-12s %4s %-12s %10s %10s %10s %10s %10s", "DOMAIN",
	     "VMS", "ALGORITHM", "SCANNED/s", "MERGED/s", "COMPARED/s",
	     "SHARED", "SAVED");
	json_array_foreach(new->fleet.domains, i, o) {
		json_t *counts = json_object_get(o, "counts");
		json_t *policy = json_object_get(o, "policy");
		long long id = family_int(o, "id", 0);
		char s1[16], s2[16];

		/* A VM's own domain has the VM's id in its number. */
		snprintf(name, sizeof(name), id & 0x80000000LL ?
			 "vm %lld" : "%lld", id & 0x7fffffffLL);
		line(s, false, "%-12s %4lld %-12s %10s %10s %10s %10s %10s",
		     name, family_int(o, "vms", 0),
		     family_str(policy, "algorithm"),
		     count(growth(old, new, o, "scanned"), c1),
		     count(growth(old, new, o, "merged"), c2),
		     count(growth(old, new, o, "compared"), c3),
		     size(family_int(counts, "shared", 0) * 4096, s1),
		     size(family_int(counts, "saved", 0) * 4096, s2));
	}
}

static void draw(struct sheet *s, const struct look *old, struct look *new,
		 enum order order)
{
	const struct fleet *f = &new->fleet;
	char b[9][16], psi[16] = "-";

	if (f->psi >= 0)
		snprintf(psi, sizeof(psi), "%.1f%%", f->psi);
	line(s, false, "host    %s of %s free, stalls %s, state %s",
	     size(f->available, b[0]), size(f->total, b[1]), psi,
	     fleet_state(f));
	line(s, false, "guests  %u, use %s, budget %s", f->nr,
	     size(f->used, b[0]), f->budget ? size(f->budget, b[1]) : "-");
	line(s, false, "%s", "");
	line(s, true, "%-16s %7s %4s %9s %8s %8s %8s %8s %8s %8s %8s %8s",
	     "NAME", "PID", "CPUS", "EXITS/s", "SIZE", "TARGET", "HAS",
	     "ACTIVE", "RESIDENT", "SHARED", "ZERO", "BALLOON");
	sort_old = old;
	sort_new = new;
	sort_by = order;
	if (f->nr)
		qsort(f->vm, f->nr, sizeof(*f->vm), compare);
	for (unsigned int i = 0; i < f->nr; i++) {
		const struct fleet_vm *vm = &f->vm[i];

		line(s, false, "%-16.16s %7d %4u %9s %8s %8s %8s %8s %8s %8s %8s %8s",
		     vm->name, vm->pid, vm->cpus,
		     count(rate(old, new, vm), b[0]), size(vm->size, b[1]),
		     size(vm->target, b[2]), size(vm->actual, b[3]),
		     size(vm->active, b[4]), size(vm->resident, b[5]),
		     size(vm->shared, b[6]), size(vm->zero, b[7]),
		     size(vm->ballooned, b[8]));
	}
	draw_domains(s, old, new);
}

static void set(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, v == FLEET_UNKNOWN ? json_null() :
			    json_integer(v));
}

static json_t *to_json(const struct look *old, const struct look *new)
{
	const struct fleet *f = &new->fleet;
	json_t *vms = json_array(), *out, *o;

	for (unsigned int i = 0; i < f->nr; i++) {
		const struct fleet_vm *vm = &f->vm[i];
		double exits = rate(old, new, vm);

		o = json_pack("{s:s, s:i, s:i, s:i, s:b, s:I}", "name", vm->name,
			      "pid", vm->pid, "id", vm->id, "cpus", vm->cpus,
			      "driver", vm->driver,
			      "shares", (json_int_t)vm->shares);
		set(o, "exits", vm->exits);
		json_object_set_new(o, "exits_per_second", exits < 0 ?
				    json_null() : json_real(exits));
		set(o, "size", vm->size);
		set(o, "target", vm->target);
		set(o, "actual", vm->actual);
		set(o, "active", vm->active);
		set(o, "resident", vm->resident);
		set(o, "shared", vm->shared);
		set(o, "zero", vm->zero);
		set(o, "ballooned", vm->ballooned);
		json_array_append_new(vms, o);
	}
	out = json_pack("{s:{s:I, s:I, s:I, s:I, s:s}, s:o}", "host",
			"total", (json_int_t)f->total, "available",
			(json_int_t)f->available, "used", (json_int_t)f->used,
			"budget", (json_int_t)f->budget, "state",
			fleet_state(f), "vms", vms);
	json_object_set_new(json_object_get(out, "host"), "psi", f->psi < 0 ?
			    json_null() : json_real(f->psi));
	if (f->domains)
		json_object_set(out, "domains", f->domains);
	return out;
}

static int take(struct look *look, struct family *f)
{
	int rc = fleet_read(&look->fleet, f, true);

	look->at = now();
	return rc;
}

static void sleep_for(double s)
{
	const struct timespec ts = {
		.tv_sec = s, .tv_nsec = (s - (long)s) * 1e9,
	};

	nanosleep(&ts, NULL);
}

/* @rounds of text or JSON, 0: until the end. Rates need the look before. */
static int run_batch(struct family *f, double interval, unsigned long rounds,
		     bool json, enum order order)
{
	struct look old = { 0 }, new;
	struct sheet s = { 0 };
	json_t *out;

	if (take(&old, f))
		return -ENOMEM;
	for (unsigned long i = 0; !rounds || i < rounds; i++) {
		sleep_for(interval);
		if (take(&new, f)) {
			fleet_free(&old.fleet);
			return -ENOMEM;
		}
		if (json) {
			out = to_json(&old, &new);
			json_dumpf(out, stdout, rounds == 1 ? JSON_INDENT(2) :
				   JSON_COMPACT);
			printf("\n");
			json_decref(out);
		} else {
			if (i)
				printf("\n");
			draw(&s, &old, &new, order);
		}
		fleet_free(&old.fleet);
		old = new;
		if (fflush(stdout))
			break;
	}
	fleet_free(&old.fleet);
	return 0;
}

static int run_screen(struct family *f, double interval, enum order order)
{
	struct look old = { 0 }, new = { 0 };
	bool end = false;
	int rc;

	setlocale(LC_ALL, "");
	if (!newterm(NULL, stdout, stdin)) {
		msg("top: no terminal to draw on; --batch prints text");
		return -ENOTTY;
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	/* The first look has nothing to compare with: the second comes soon. */
	rc = take(&old, f);
	timeout(rc ? 0 : 200);
	while (!rc && !end) {
		struct sheet s = { .screen = true };
		int key = getch();

		if (key == 'q' || key == 'Q')
			end = true;
		else if (key == 'n')
			order = BY_NAME;
		else if (key == 'c')
			order = BY_CPU;
		else if (key == 'm')
			order = BY_MEMORY;
		else if (key == 's')
			order = BY_SHARED;
		timeout(interval * 1000);
		rc = take(&new, f);
		if (rc || end)
			break;
		erase();
		draw(&s, &old, &new, order);
		mvprintw(LINES - 1, 0, "q quit   sort: n name, c exits, m memory, s shared");
		refresh();
		fleet_free(&old.fleet);
		old = new;
		memset(&new, 0, sizeof(new));
	}
	endwin();
	fleet_free(&old.fleet);
	fleet_free(&new.fleet);
	return rc;
}

static int top(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "batch", optional_argument, NULL, 'b' },
		{ "once", no_argument, NULL, OPT_ONCE },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool batch = false, json = false;
	uint64_t rounds = 0;
	double interval = 2;
	struct family *f = NULL;
	char *end;
	int opt, rc;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "i:b::jh", options, NULL)) != -1) {
		if (opt == 'j') {
			json = true;
		} else if (opt == OPT_ONCE) {
			batch = true;
			rounds = 1;
		} else if (opt == 'b') {
			batch = true;
			if (optarg && (parse_u64(optarg, &rounds) || !rounds)) {
				msg("--batch=%s: not a number of rounds above 0",
				    optarg);
				return EXIT_USAGE;
			}
		} else if (opt == 'i') {
			interval = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(interval >= 0.1 && interval <= 3600)) {
				msg("--interval %s: not a number of seconds from 0.1 to 3600",
				    optarg);
				return EXIT_USAGE;
			}
		} else if (opt == 'h') {
			return command_help(&cmd_top);
		} else {
			return command_usage(&cmd_top);
		}
	}
	if (optind < argc) {
		msg("top: %s: not an option", argv[optind]);
		return command_usage(&cmd_top);
	}
	/* Without the module there is less to see, and that is no error. */
	if (family_open(&f))
		f = NULL;
	if (json && !batch)
		rounds = 1;
	if (batch || json)
		rc = run_batch(f, interval, rounds, json, BY_NAME);
	else
		rc = run_screen(f, interval, BY_NAME);
	if (f)
		family_close(f);
	if (rc == -ENOMEM)
		msg("top: %s", strerror(-rc));
	return rc ? EXIT_FAIL : EXIT_OK;
}

const struct command cmd_top = {
	.name = "top",
	.run = top,
	.usage = "top [--interval SECONDS] [--batch[=ROUNDS]|--once] [--json]",
	.summary = "watch the running VMs: exits, memory, the host's state",
	.help =
"  -i, --interval SECONDS   between two looks (2)\n"
"  -b, --batch[=ROUNDS]     text on stdout, without a terminal\n"
"      --once               the same as --batch=1\n"
"  -j, --json               one look as an object; with --batch a line for each\n\n"
"Keys: q quits; n, c, m, s sort by name, exits, resident and shared memory.\n"
"RESIDENT is what the host spends on the guest, SHARED what it uses together with\n"
"others, ZERO and BALLOON what costs nothing, HAS what the balloon leaves it, ACTIVE\n"
"what it works with. The module knows most of it: without it, or as another user\n"
"than root, some columns stay empty, and so does the list of domains.\n",
};
