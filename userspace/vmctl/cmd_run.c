// SPDX-License-Identifier: GPL-2.0-only
/* vmctl run: boot a guest and serve it until it ends. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acpi.h"
#include "monitor.h"
#include "sandbox.h"
#include "util.h"
#include "vm.h"
#include "vmctl.h"

#define DEFAULT_MEMORY (512 * MIB)

enum {
	OPT_BACKEND = 0x100,
	OPT_MERGEABLE,
	OPT_NAME,
	OPT_TIMEOUT,
	OPT_JSON,
	OPT_NO_CONSOLE,
	OPT_NO_SANDBOX,
	OPT_NO_BALLOON,
	OPT_NESTED,
	OPT_BALLOON_MIN,
	OPT_SHARES,
	OPT_DEBUG_PORT,
	OPT_EXIT_PORT,
};

static const struct option options[] = {
	{ "device", required_argument, NULL, 'd' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "memory", required_argument, NULL, 'm' },
	{ "kernel", required_argument, NULL, 'k' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "cmdline", required_argument, NULL, 'a' },
	{ "mem-backend", required_argument, NULL, OPT_BACKEND },
	{ "mergeable", no_argument, NULL, OPT_MERGEABLE },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "no-console", no_argument, NULL, OPT_NO_CONSOLE },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "balloon-min", required_argument, NULL, OPT_BALLOON_MIN },
	{ "shares", required_argument, NULL, OPT_SHARES },
	{ "nested", required_argument, NULL, OPT_NESTED },
	{ "no-balloon", no_argument, NULL, OPT_NO_BALLOON },
	{ "debug-port", optional_argument, NULL, OPT_DEBUG_PORT },
	{ "exit-port", required_argument, NULL, OPT_EXIT_PORT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int bad(const char *option, const char *value, const char *want)
{
	msg("--%s %s: %s", option, value, want);
	return EXIT_USAGE;
}

static int parse_port(const char *option, const char *value, int *port)
{
	uint64_t v;

	if (parse_u64(value, &v) || v > 0xffff)
		return bad(option, value, "not a port number (0 to 0xffff)");
	*port = v;
	return 0;
}

static int parse_backend(const char *value, enum mem_backend *backend)
{
	if (!strcmp(value, "emys"))
		*backend = MEM_EMYS;
	else if (!strcmp(value, "anon"))
		*backend = MEM_ANON;
	else
		return bad("mem-backend", value, "must be emys or anon");
	return 0;
}

static int parse_nested(const char *value, bool *nested)
{
	if (!strcmp(value, "on"))
		*nested = true;
	else if (!strcmp(value, "off"))
		*nested = false;
	else
		return bad("nested", value, "must be on or off");
	return 0;
}

static int parse_timeout(const char *value, uint64_t *ms)
{
	char *end;
	double s = strtod(value, &end);

	if (end == value || *end || !(s > 0 && s <= 1e9))
		return bad("timeout", value, "not a number of seconds above 0");
	*ms = s * 1000 + 0.5;
	if (!*ms)
		*ms = 1;
	return 0;
}

static int parse_option(int opt, struct vm_config *c)
{
	uint64_t v;

	switch (opt) {
	case 'd':
		c->device = optarg;
		return 0;
	case 'c':
		if (parse_u64(optarg, &v) || !v || v > ACPI_MAX_CPUS)
			return bad("cpus", optarg, "not a number from 1 to 254");
		c->cpus = v;
		return 0;
	case 'm':
		if (parse_size(optarg, MIB, &v))
			return bad("memory", optarg, "not a size; say 512M or 6G");
		c->memory = v;
		return 0;
	case 'k':
		c->kernel = optarg;
		return 0;
	case 'i':
		c->initrd = optarg;
		return 0;
	case 'a':
		c->cmdline = optarg;
		return 0;
	case OPT_BACKEND:
		return parse_backend(optarg, &c->backend);
	case OPT_MERGEABLE:
		c->mergeable = true;
		return 0;
	case OPT_NAME:
		if (!ctl_name_ok(optarg))
			return bad("name", optarg, "must be 1 to 64 of letters, digits, '.', '_' and '-', not starting with '.' or '-'");
		c->name = optarg;
		return 0;
	case OPT_TIMEOUT:
		return parse_timeout(optarg, &c->timeout_ms);
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_NO_CONSOLE:
		c->console = false;
		return 0;
	case OPT_BALLOON_MIN:
		if (parse_size(optarg, MIB, &c->balloon_min))
			return bad("balloon-min", optarg, "not a size; say 64M");
		return 0;
	case OPT_SHARES:
		if (parse_u64(optarg, &v) || !v || v > VM_SHARES_MAX)
			return bad("shares", optarg, "not a number from 1 to 1000000");
		c->shares = v;
		return 0;
	case OPT_NESTED:
		return parse_nested(optarg, &c->nested);
	case OPT_NO_BALLOON:
		c->balloon = false;
		return 0;
	case OPT_NO_SANDBOX:
		c->sandbox = false;
		return 0;
	case OPT_DEBUG_PORT:
		return parse_port("debug-port", optarg ? optarg : "0xe9",
				  &c->debug_port);
	case OPT_EXIT_PORT:
		return parse_port("exit-port", optarg, &c->exit_port);
	case 'v':
		c->verbose = true;
		return 0;
	default:
		return command_usage(&cmd_run);
	}
}

/* The last word: why it ended, on stderr. */
static void print_end(struct vm *vm)
{
	const struct vm_config *c = vm->cfg;
	json_t *out;
	char *text, *at;
	ssize_t n;

	if (!c->json) {
		if (vm->stop == STOP_PORT)
			msg("%s: the guest wrote %#x to the exit port", c->name,
			    vm->stop_code);
		else if (vm->stop != STOP_POWEROFF || c->verbose)
			msg("%s: %s%s%s", c->name, vm_stop_name(vm->stop),
			    *vm->stop_text ? ": " : "", vm->stop_text);
		return;
	}
	out = ctl_stat(vm);
	json_object_set_new(out, "status", json_integer(vm_stop_status(vm)));
	if (*vm->stop_text)
		json_object_set_new(out, "reason", json_string(vm->stop_text));
	if (vm->stop_vcpu >= 0)
		json_object_set_new(out, "stop_vcpu",
				    json_integer(vm->stop_vcpu));
	if (vm->stop == STOP_PORT)
		json_object_set_new(out, "exit_value",
				    json_integer(vm->stop_code));
	text = json_dumps(out, JSON_COMPACT);
	/* Longer than a message may be; and the terminal's own newline at the end. */
	for (at = text; at && *at; at += n) {
		n = write(STDERR_FILENO, at, strlen(at));
		if (n <= 0)
			break;
	}
	say("\n");
	free(text);
	json_decref(out);
}

/* From a created VM to its end; the exit status. */
static int run_vm(struct vm *vm, int signal_fd)
{
	struct follow follow;
	struct ctl ctl;
	int status = EXIT_FAIL;

	if (ctl_listen(&ctl, vm->cfg->name))
		return EXIT_FAIL;
	if (vm_start(vm)) {
		/* Let those that did start see that it is over. */
		vm_stop(vm, STOP_REQUEST, 0, -1, NULL);
		vm_open_gate(vm);
		vm_join(vm);
		ctl_close(&ctl);
		return EXIT_FAIL;
	}
	follow_open(&follow, vm);
	console_init(&vm->console, vm->cfg->console, vm->event_fd);
	if (vm->cfg->sandbox && sandbox_enter())
		vm_stop(vm, STOP_INTERNAL, 0, -1, "sandbox");
	vm_open_gate(vm);
	monitor_run(vm, &ctl, &follow, signal_fd);
	vm_join(vm);
	console_flush(&vm->console);
	console_restore();
	print_end(vm);
	status = vm_stop_status(vm);
	follow_close(&follow);
	ctl_close(&ctl);
	return status;
}

static int run(int argc, char **argv)
{
	struct vm_config c = {
		.device = DEFAULT_DEVICE,
		.cmdline = "console=ttyS0",
		.cpus = 1,
		.memory = DEFAULT_MEMORY,
		.console = true,
		.sandbox = true,
		.balloon = true,
		.shares = VM_SHARES,
		.debug_port = -1,
		.exit_port = -1,
	};
	int opt, rc, signal_fd;
	char name[32];
	struct vm vm;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "d:c:m:k:i:a:vh", options,
				  NULL)) != -1) {
		if (opt == 'h')
			return command_help(&cmd_run);
		rc = parse_option(opt, &c);
		if (rc)
			return rc;
	}
	if (optind < argc) {
		msg("run: %s: not an option", argv[optind]);
		return command_usage(&cmd_run);
	}
	if (!c.kernel) {
		msg("run: --kernel is missing");
		return command_usage(&cmd_run);
	}
	if (c.balloon_min > c.memory)
		return bad("balloon-min", "SIZE", "more than the VM's memory");
	/* KVM maps what it is given; memory of emys's own is for emys. */
	if (c.backend == MEM_AUTO && !strcmp(c.device, "/dev/kvm"))
		c.backend = MEM_ANON;
	if (!c.name) {
		snprintf(name, sizeof(name), "vm%d", getpid());
		c.name = name;
	}

	/* What libraries open files for on first use, before the sandbox. */
	json_object_seed(0);
	tzset();
	signal_fd = monitor_signals();
	if (signal_fd < 0) {
		msg("signalfd: %s", strerror(-signal_fd));
		return EXIT_FAIL;
	}
	rc = vm_create(&vm, &c) ? EXIT_FAIL : run_vm(&vm, signal_fd);
	vm_destroy(&vm);
	return rc;
}

const struct command cmd_run = {
	.name = "run",
	.run = run,
	.usage = "run --kernel FILE [OPTIONS]",
	.summary = "boot a guest and stay its console until it ends",
	.help =
"The kernel may be a bzImage, an ELF file with a PVH entry (vmlinux), or a\n"
"multiboot (version 1) kernel.\n\n"
"  -d, --device PATH       /dev/emys (default), /dev/kvm, or another node\n"
"  -c, --cpus N            virtual CPUs, 1 to 254 (default 1)\n"
"  -m, --memory SIZE       like 512M or 6G; a bare number is MiB (default 512M)\n"
"  -k, --kernel FILE       the kernel\n"
"  -i, --initrd FILE       initial RAM disk, or the multiboot module\n"
"  -a, --cmdline STRING    kernel command line (default \"console=ttyS0\")\n"
"      --mem-backend emys|anon  memory owned by the module, or anonymous\n"
"      --mergeable         let the host's KSM merge anonymous memory\n"
"      --name NAME         for list, stat and stop (default vm<PID>)\n"
"      --timeout SECONDS   stop the VM after that time\n"
"      --json              at the end, one JSON object on stderr\n"
"      --no-console        no input, and the guest's output is dropped\n"
"      --debug-port[=PORT] bytes written there are output (default 0xe9)\n"
"      --exit-port PORT    a write there ends the VM\n"
"      --balloon-min SIZE  what vmctl balloon and policy leave the guest at least\n"
"      --shares N          weight when memory is scarce, 1 to 1000000 (1000)\n"
"      --nested on|off     may the guest be a hypervisor? (off)\n"
"      --no-balloon        no PCI bus and no balloon device\n"
"      --no-sandbox        do not confine the process with seccomp\n"
"  -v, --verbose           say what is loaded and how it ended\n\n"
"Keys on a terminal: Ctrl-A x leaves (stops the VM), Ctrl-A c shows the status,\n"
"Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A h helps.\n\n"
"Exit status: 0 guest powered off, 1 could not start, 2 usage, 3 reset, 4 triple\n"
"fault, 5 internal error, 6 VM entry failed, 7 timeout, 8 stopped from outside,\n"
"9 guest crash event, 64 + low six bits of a value other than 0 written to the\n"
"exit port (0 for 0).\n",
};
