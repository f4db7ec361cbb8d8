// SPDX-License-Identifier: GPL-2.0-only
/* vmctl balloon: how much memory a running guest has, and shall have. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "util.h"
#include "vmctl.h"

#define STEP_MS		50	/* between two looks */
#define STATS_MS	1000	/* guest's figures older than this are old */
#define WAIT_S		60

static const json_t *part(const json_t *vm)
{
	return json_object_get(vm, "balloon");
}

static unsigned long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static void sleep_ms(unsigned int ms)
{
	const struct timespec ts = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};

	nanosleep(&ts, NULL);
}

static bool stats_fresh(const json_t *vm)
{
	const json_t *age = json_object_get(part(vm), "stats_age_ms");

	return age && json_integer_value(age) < STATS_MS;
}

/* What the VM says, with figures of the guest that are new if it gives any. */
static json_t *fetch(const char *name)
{
	json_t *vm = ctl_request_json(name, json_pack("{s:s, s:b}", "cmd",
						      "balloon", "poll", 1));

	for (int i = 0; i < 10 && vm && flag(part(vm), "driver") &&
	     !stats_fresh(vm); i++) {
		json_decref(vm);
		sleep_ms(STEP_MS);
		vm = ctl_request(name, "balloon");
	}
	return vm;
}

static void print_row(const json_t *vm)
{
	const json_t *b = part(vm), *stats = json_object_get(b, "stats");
	const json_t *name = json_object_get(vm, "name");

	printf("%-16s %8lluM %8lluM %8lluM %8lluM ",
	       json_string_value(name) ?: "?", num(vm, "memory") / MIB,
	       num(b, "target") / MIB, num(b, "actual") / MIB,
	       num(b, "minimum") / MIB);
	if (json_object_get(stats, "available"))
		printf("%8lluM ", num(stats, "available") / MIB);
	else
		printf("%9s ", "-");
	printf("%8lluM  %s\n", num(b, "reported") / MIB,
	       flag(b, "broken") ? "broken by the guest" :
	       !flag(b, "driver") ? "no driver" :
	       num(b, "kept") ? "host could not free some" : "ok");
}

static void print_head(void)
{
	printf("%-16s %9s %9s %9s %9s %9s %9s  %s\n", "NAME", "SIZE", "TARGET",
	       "ACTUAL", "MINIMUM", "AVAILABLE", "REPORTED", "STATE");
}

static void print_json(const json_t *out)
{
	json_dumpf(out, stdout, JSON_INDENT(2));
	printf("\n");
}

static int show(const char *name, bool json)
{
	json_t *vm = fetch(name);

	if (!vm)
		return EXIT_FAIL;
	if (json) {
		print_json(vm);
	} else {
		print_head();
		print_row(vm);
	}
	json_decref(vm);
	return EXIT_OK;
}

static int show_all(bool json)
{
	json_t *all = ctl_request_all("balloon"), *vm;
	size_t i;

	if (json) {
		print_json(all);
	} else if (json_array_size(all)) {
		print_head();
		json_array_foreach(all, i, vm)
			print_row(vm);
	}
	json_decref(all);
	return EXIT_OK;
}

static void progress(const char *name, const json_t *b, bool end)
{
	static unsigned long long last = ~0ULL;
	unsigned long long actual = num(b, "actual") / MIB;

	if (!isatty(STDERR_FILENO) || (actual == last && !end))
		return;
	last = actual;
	fprintf(stderr, "\r%s: has %lluM, target %lluM%s", name,
		actual, num(b, "target") / MIB, end ? "\n" : " ...");
}

/* Why the target was not reached, for people. */
static void explain(const char *name, const json_t *vm, unsigned long long before)
{
	const json_t *b = part(vm);
	unsigned long long actual = num(b, "actual"), target = num(b, "target");

	if (flag(b, "broken"))
		msg("%s: the guest's driver broke the device; it works again after the guest resets it",
		    name);
	else if (!flag(b, "driver"))
		msg("%s: the guest runs no balloon driver; the target is kept for when it does",
		    name);
	else if (num(b, "target") < before)
		msg("%s: the guest gave %llu MiB, %llu MiB are missing; it goes on trying",
		    name, (before > actual ? before - actual : 0) / MIB,
		    (actual - target) / MIB);
	else
		msg("%s: the guest has taken %llu MiB back, %llu MiB are missing",
		    name, (actual > before ? actual - before : 0) / MIB,
		    (target - actual) / MIB);
}

/* Whether the guest is where it should be: not above, or as it was told to grow. */
static bool reached(const json_t *b, uint64_t before)
{
	unsigned long long actual = num(b, "actual"), target = num(b, "target");

	return target < before ? actual <= target : actual >= target;
}

static int set(const char *name, uint64_t bytes, double wait, bool json)
{
	unsigned int left = wait * 1000 / STEP_MS;
	json_t *vm = ctl_request(name, "balloon");
	uint64_t before;
	bool done;

	if (!vm)
		return EXIT_FAIL;
	before = num(part(vm), "actual");
	if (bytes == UINT64_MAX)
		bytes = num(vm, "memory");
	json_decref(vm);
	vm = ctl_request_json(name, json_pack("{s:s, s:I}", "cmd", "balloon",
					      "target", (json_int_t)bytes));
	while (vm && !reached(part(vm), before) && flag(part(vm), "driver") &&
	       left--) {
		progress(name, part(vm), false);
		json_decref(vm);
		sleep_ms(STEP_MS);
		vm = ctl_request(name, "balloon");
	}
	if (!vm)
		return EXIT_FAIL;
	done = reached(part(vm), before);
	progress(name, part(vm), true);
	if (json)
		print_json(vm);
	if (!done && wait > 0)
		explain(name, vm, before);
	json_decref(vm);
	return done || wait <= 0 ? EXIT_OK : EXIT_FAIL;
}

static int balloon(int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", required_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	double wait = WAIT_S;
	uint64_t bytes;
	bool json = false;
	char *end;
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "w:jh", options, NULL)) != -1) {
		if (opt == 'j') {
			json = true;
		} else if (opt == 'w') {
			wait = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(wait >= 0 && wait <= 1e6)) {
				msg("--wait %s: not a number of seconds",
				    optarg);
				return EXIT_USAGE;
			}
		} else if (opt == 'h') {
			return command_help(&cmd_balloon);
		} else {
			return command_usage(&cmd_balloon);
		}
	}
	if (argc - optind > 2) {
		msg("balloon: one VM and one size");
		return command_usage(&cmd_balloon);
	}
	if (optind == argc)
		return show_all(json);
	if (optind + 1 == argc)
		return show(argv[optind], json);
	if (!strcmp(argv[optind + 1], "max")) {
		bytes = UINT64_MAX;
	} else if (parse_size(argv[optind + 1], MIB, &bytes) ||
		   bytes > INT64_MAX) {
		msg("balloon: %s: not a size; say 64M, or max",
		    argv[optind + 1]);
		return EXIT_USAGE;
	}
	return set(argv[optind], bytes, wait, json);
}

const struct command cmd_balloon = {
	.name = "balloon",
	.run = balloon,
	.usage = "balloon [VM [SIZE|max]] [--wait SECONDS] [--json]",
	.summary = "show or set how much of its memory a guest has",
	.help =
"  -w, --wait SECONDS   how long to wait until the guest has done it (60)\n"
"  -j, --json           objects with all figures, in bytes\n\n"
"SIZE is what the guest shall have, like 64M; a bare number is MiB. The rest of\n"
"its memory it gives to the host, which has it at once; max gives all of it back.\n"
"Status 1 if the guest did not get there in time; it goes on trying.\n"
"The guest needs its virtio_balloon driver. What it gives it takes back by itself\n"
"before it would run out of memory.\n",
};
