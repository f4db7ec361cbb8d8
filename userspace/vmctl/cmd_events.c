// SPDX-License-Identifier: GPL-2.0-only
/* vmctl events: what the module tells, as it happens. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "memcmd.h"
#include "util.h"

static void print_event(json_t *event, bool json)
{
	long long ns = family_int(event, "time", 0);

	if (json) {
		json_dumpf(event, stdout, JSON_COMPACT);
		printf("\n");
		fflush(stdout);
		return;
	}
	printf("[%5lld.%06lld] %s", ns / 1000000000, ns / 1000 % 1000000,
	       family_str(event, "event"));
	for (unsigned int i = 1; i <= nl_event.max; i++) {
		const char *key = nl_event.attrs[i].name;
		const json_t *v = json_object_get(event, key);

		if (!v || i == EMYS_A_EVENT_TIME)
			continue;
		if (json_is_string(v))
			printf(" %s %s", key, json_string_value(v));
		else
			printf(" %s %lld", key, (long long)json_integer_value(v));
	}
	printf("\n");
	fflush(stdout);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Until @count events were told (0: for ever) or @seconds are over (likewise). */
static int follow(struct family *f, int fd, bool json, uint64_t count, uint64_t seconds)
{
	long long end = now_ms() + (long long)seconds * 1000;
	uint64_t told = 0;
	json_t *event;

	while (!count || told < count) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long long left = seconds ? end - now_ms() : -1;
		int r;

		if (seconds && left <= 0)
			break;
		if (poll(&p, 1, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR) {
			msg("poll: %s", strerror(errno));
			return EXIT_FAIL;
		}
		while ((!count || told < count) && (r = family_event(f, &event))) {
			if (r == -ENOBUFS) {
				msg("some events were lost: they came too fast");
				continue;
			}
			if (r < 0) {
				msg("netlink: %s", strerror(-r));
				return EXIT_FAIL;
			}
			print_event(event, json);
			json_decref(event);
			told++;
		}
	}
	return EXIT_OK;
}

static int events(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "count", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t count = 0, seconds = 0;
	bool json = false;
	struct family *f;
	int opt, status;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "jn:t:h", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'n':
			if (!memcmd_number("number of events", optarg, UINT32_MAX, &count))
				return EXIT_USAGE;
			break;
		case 't':
			if (!memcmd_number("number of seconds", optarg, UINT32_MAX, &seconds))
				return EXIT_USAGE;
			break;
		case 'h':
			return command_help(&cmd_events);
		default:
			return command_usage(&cmd_events);
		}
	}
	if (optind < argc)
		return command_usage(&cmd_events);
	f = family_open_or_say();
	if (!f)
		return EXIT_FAIL;
	status = family_listen(f, true);
	if (status < 0) {
		msg("%s", family_error(f));
		status = EXIT_FAIL;
	} else {
		status = follow(f, status, json, count, seconds);
	}
	family_close(f);
	return status;
}

const struct command cmd_events = {
	.name = "events",
	.run = events,
	.usage = "events [--count N] [--timeout SECONDS] [--json]",
	.summary = "tell what happens to VMs and memory, as it happens",
	.help =
"  -n, --count N           end after N events\n"
"  -t, --timeout SECONDS   end after this time\n"
"  -j, --json              one object a line\n\n"
"vm-new, vm-gone; pressure: memory became scarcer or less so; pass-end: a domain was\n"
"looked at once; balloon-target, balloon-reached; page-storm: a VM copied and refaulted\n"
"many pages within a second. \"withheld\" counts events that were left out before this\n"
"one because there were too many; sizes are in pages of 4K.\n"
"This is root's.\n",
};
