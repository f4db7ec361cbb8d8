// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the control socket's balloon requests and of the commands that use it. The VMs are
 * processes with a socket and a balloon, whose guest does at once what its target says.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "screen.h"
#include "tap.h"
#include "util.h"

static void wake(void *ctx)
{
	(void)ctx;
}

static void interrupt(void *transport, int queue)
{
	(void)transport;
	(void)queue;
}

/* The guest: it gives what it is asked for but the last @keep bytes of it. */
static void obey(struct virtio_balloon *b, uint64_t keep)
{
	uint64_t give = b->num_pages, most = (b->dev.mem->size - keep) / BALLOON_PAGE;

	if (give > most)
		give = most;
	pthread_mutex_lock(&b->dev.lock);
	b->nr_given = give;
	b->actual = give;
	b->stat_valid = 1u << BALLOON_S_AVAIL;
	b->stat[BALLOON_S_AVAIL] = b->dev.mem->size - give * BALLOON_PAGE - keep;
	b->stat_ms = vm_now_ms();
	pthread_mutex_unlock(&b->dev.lock);
}

/* The kernel's binary statistics as a file: names and values up to a NULL. */
static int stats_file(const char *const *names, const uint64_t *values)
{
	struct kvm_stats_header h = { .name_size = 48, .desc_offset = sizeof(h) };
	int fd = memfd_create("stats", MFD_CLOEXEC);
	struct kvm_stats_desc d = { .size = 1 };
	size_t len = sizeof(d) + h.name_size;
	char name[48];

	while (names[h.num_desc])
		h.num_desc++;
	h.data_offset = h.desc_offset + h.num_desc * len;
	if (fd < 0 || pwrite(fd, &h, sizeof(h), 0) != sizeof(h))
		_exit(1);
	for (uint32_t i = 0; i < h.num_desc; i++) {
		off_t at = h.desc_offset + i * len;

		memset(name, 0, sizeof(name));
		snprintf(name, sizeof(name), "%s", names[i]);
		d.offset = i * 8;
		if (pwrite(fd, &d, sizeof(d), at) != sizeof(d) ||
		    pwrite(fd, name, sizeof(name), at + sizeof(d)) != sizeof(name) ||
		    pwrite(fd, &values[i], 8, h.data_offset + i * 8) != 8)
			_exit(1);
	}
	return fd;
}

/* The first VM's guest has a guest of its own. */
static void count_nested(struct vm *vm)
{
	static const char *const names[] = {
		"exits", "exit_vmread", "nested_entries", "nested_l1_cpuid",
		"nested_fast_cpuid", "nested_slow_ept_violation", "nested_l1_hlt", NULL
	};
	static const uint64_t values[2][7] = {
		{ 100, 30, 20, 11, 2, 300, 0 }, { 200, 40, 21, 12, 0, 5, 0 }
	};
	static const char *const vm_names[] = { "ept02_leaves", "ept02_drops_zap", NULL };
	static const uint64_t vm_values[] = { 77, 0 };
	static struct vcpu vcpus[2];

	for (int i = 0; i < 2; i++)
		vcpus[i].stats_fd = stats_file(names, values[i]);
	vm->vcpus = vcpus;
	vm->nr_vcpus = 2;
	vm->stats_fd = stats_file(vm_names, vm_values);
}

/* A VM that runs until it is killed. @keep 0: without a driver; -1: no balloon. */
static pid_t fake(const char *name, uint64_t size, int64_t keep)
{
	struct vm_config cfg = {
		.name = name, .device = "none", .kernel = "none", .memory = size,
		.balloon = keep >= 0, .balloon_min = 16 * MIB, .shares = VM_SHARES,
	};
	static struct vm vm;
	static struct ctl ctl;
	pid_t pid = fork();

	if (pid)
		return pid;
	vm.cfg = &cfg;
	vm.start_ms = vm_now_ms();
	vm.stats_fd = -1;
	if (!strcmp(name, "a"))
		count_nested(&vm);
	pthread_mutex_init(&vm.stop_lock, NULL);
	if (guest_mem_create(&vm.mem, size, MEM_ANON) || ctl_listen(&ctl, name))
		_exit(1);
	if (keep >= 0) {
		virtio_balloon_init(&vm.balloon, &vm.mem, wake, NULL);
		vm.balloon.dev.interrupt = interrupt;
	}
	if (keep > 0)
		vm.balloon.dev.status = 15;
	else
		memset(vm.mem.base, 1, 48 * MIB);
	while (!vm.stop) {
		struct pollfd fds[CTL_POLLS];
		unsigned int nr = ctl_poll(&ctl, fds);

		if (keep > 0)
			obey(&vm.balloon, keep);
		poll(fds, nr, 20);
		ctl_serve(&ctl, &vm, fds, nr);
	}
	ctl_close(&ctl);
	_exit(0);
}

static char output[65536];

/* Run a vmctl command; its exit status, its output (both streams) in output. */
static int run(const char *args)
{
	char line[256];
	size_t n;
	FILE *f;

	snprintf(line, sizeof(line), "timeout 20 ./vmctl %s 2>&1", args);
	f = popen(line, "r");
	if (!f)
		return -1;
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = '\0';
	return WEXITSTATUS(pclose(f));
}

static json_t *parse(void)
{
	return json_loads(output, JSON_DISABLE_EOF_CHECK, NULL);
}

static long long get(const char *name, const char *key)
{
	char args[128];
	long long v = -1;
	json_t *o;

	snprintf(args, sizeof(args), "balloon %s --json", name);
	if (run(args))
		return -1;
	o = parse();
	if (json_object_get(json_object_get(o, "balloon"), key))
		v = json_integer_value(json_object_get(json_object_get(o, "balloon"), key));
	json_decref(o);
	return v;
}

static void test_balloon(void)
{
	ok(run("balloon a 64M") == 0, "64 MiB: reached");
	ok(get("a", "actual") == (long long)(64 * MIB) &&
	   get("a", "target") == (long long)(64 * MIB), "and shown");
	ok(run("balloon a 20M --wait 0.3") == 1 && strstr(output, "gave 24 MiB, 20 MiB are missing"),
	   "20 MiB: the guest keeps 40");
	ok(run("balloon a 10M") == 1 && strstr(output, "balloon-min") &&
	   get("a", "target") == (long long)(20 * MIB), "below the minimum: refused");
	ok(run("balloon a 257M") == 1 && strstr(output, "more than the VM's memory"),
	   "above the size: refused");
	ok(run("balloon a max") == 0 && get("a", "actual") == (long long)(256 * MIB), "max");
	ok(run("balloon a 64Q") == 2, "a size that is none");
	ok(run("balloon a 64M 32M") == 2, "two sizes");
	ok(run("balloon a 64M --wait -1") == 2, "a wait before now");
	ok(run("balloon none 64M") == 1 && strstr(output, "no such VM"), "no such VM");
	ok(run("balloon idle 64M --wait 0.2") == 1 && strstr(output, "no balloon driver"),
	   "a guest without the driver");
	ok(run("balloon bare 64M") == 1 && strstr(output, "--no-balloon"), "a VM without a balloon");
	ok(run("balloon") == 0 && strstr(output, "\na ") && strstr(output, "\nidle ") &&
	   !strstr(output, "\nbare "), "all VMs in a table");
	ok(run("balloon a") == 0 && strstr(output, "256M"), "one VM");
	run("balloon idle max");
}

static void test_requests(void)
{
	json_t *r;

	r = ctl_request_json("a", json_pack("{s:s, s:s}", "cmd", "balloon", "target", "1"));
	ok(!r, "a target that is a string is refused");
	r = ctl_request_json("a", json_pack("{s:s, s:i}", "cmd", "balloon", "target", -1));
	ok(!r, "a negative one too");
	r = ctl_request_json("a", json_pack("{s:s}", "cmd", "balloons"));
	ok(!r, "an unknown request too");
	ok(get("a", "target") == (long long)(256 * MIB), "and nothing has changed");
}

/* What a round of the policy said of a VM; a new reference. */
static json_t *round_vm(const char *name)
{
	json_t *o = parse(), *vm, *hit = NULL;
	size_t i;

	json_array_foreach(json_object_get(o, "vms"), i, vm)
		if (!strcmp(json_string_value(json_object_get(vm, "name")), name))
			hit = json_incref(vm);
	json_decref(o);
	return hit;
}

static void test_policy(void)
{
	json_t *vm;

	ok(run("policy --once --budget 10G --json") == 0, "plenty: a round");
	vm = round_vm("a");
	ok(vm && json_is_false(json_object_get(vm, "set")), "nobody is told anything");
	json_decref(vm);
	ok(run("policy --once --budget 1M --json --dry-run") == 0, "scarce, dry run");
	vm = round_vm("a");
	ok(vm && json_is_true(json_object_get(vm, "set")) &&
	   json_integer_value(json_object_get(vm, "goal")) == (json_int_t)(16 * MIB),
	   "it would be told its minimum");
	json_decref(vm);
	ok(get("a", "target") == (long long)(256 * MIB), "but is not");
	ok(run("policy --once --budget 1M") == 0 && strstr(output, "taking") &&
	   strstr(output, "a: 256 -> 16 MiB"), "scarce: it says so");
	ok(get("a", "target") == (long long)(16 * MIB), "and does");
	ok(run("policy --budget 0") == 2 && run("policy --tax 1") == 2 &&
	   run("policy --interval 0") == 2 && run("policy now") == 2, "bad options");
	ok(run("policy --budget 10G --once --release") == 0 &&
	   get("a", "target") == (long long)(256 * MIB), "--release gives back");
}

static void test_top(void)
{
	json_t *o, *vms, *host;

	ok(run("top --batch=2 -i 0.1") == 0 && strstr(output, "\na ") &&
	   strstr(output, "\nbare ") && strstr(output, "256M"), "top --batch: all VMs");
	ok(run("top --once -i 0.1") == 0 && strstr(output, "\nidle ") &&
	   !strstr(strstr(output, "\nNAME ") + 1, "\nNAME "), "top --once: one of them");
	ok(run("top --json -i 0.1") == 0, "top --json");
	o = parse();
	vms = json_object_get(o, "vms");
	host = json_object_get(o, "host");
	ok(json_array_size(vms) == 3 &&
	   json_integer_value(json_object_get(host, "total")) > 0, "three VMs and the host");
	json_decref(o);
	ok(run("top --batch=0") == 2 && run("top --interval 0") == 2 && run("top a") == 2,
	   "bad options");
	ok(setenv("TERM", "none-such", 1) == 0 && run("top") == 1 && strstr(output, "no terminal"),
	   "a terminal that nobody knows");
}

static bool all_rows(const struct screen *s)
{
	return screen_find(s, "a ") >= 0 && screen_find(s, "bare ") >= 0 &&
	       screen_find(s, "idle ") >= 0 && screen_find(s, "NAME ") >= 0 &&
	       !strncmp(s->text[s->rows - 1], "q quit", 6);
}

static bool by_name(const struct screen *s)
{
	return all_rows(s) && screen_find(s, "a ") < screen_find(s, "bare ") &&
	       screen_find(s, "bare ") < screen_find(s, "idle ");
}

static bool by_memory(const struct screen *s)
{
	return all_rows(s) && screen_find(s, "a ") > screen_find(s, "bare ") &&
	       screen_find(s, "a ") > screen_find(s, "idle ");
}

/* What the column that ends as @head does holds in the row of @vm. */
static bool column(const struct screen *s, const char *vm, const char *head, const char *want)
{
	int names = screen_find(s, "NAME "), row = screen_find(s, vm);
	const char *at = names < 0 ? NULL : strstr(s->text[names], head);
	size_t end;

	if (!at || row < 0)
		return false;
	end = at + strlen(head) - s->text[names];
	return !strncmp(s->text[row] + end - strlen(want), want, strlen(want)) &&
	       s->text[row][end - strlen(want) - 1] == ' ';
}

static bool is_64(const struct screen *s)
{
	return column(s, "a ", " HAS", "64M") && column(s, "a ", " TARGET", "64M") &&
	       column(s, "a ", " SIZE", "256M") && column(s, "a ", " BALLOON", "192M") &&
	       column(s, "a ", " ACTIVE", "40M");
}

static bool host_only(const struct screen *s)
{
	return !strncmp(s->text[0], "host  ", 6) && !strncmp(s->text[1], "guests  3,", 10) &&
	       screen_find(s, "NAME ") == 3 && screen_find(s, "a ") == 4 &&
	       !strncmp(s->text[5], "q quit", 6);
}

static void test_screen(void)
{
	static char *const argv[] = { "./vmctl", "top", "--interval", "0.1", NULL };
	static struct screen s;

	screen_start(&s, 20, 130, argv);
	ok(screen_wait(&s, all_rows), "top on a terminal of 20 rows: VMs, titles, keys");
	ok(!strncmp(s.text[0], "host ", 5) && strstr(s.text[0], "free, stalls") &&
	   !strncmp(s.text[1], "guests  3, use ", 15), "the host above them");
	ok(s.reverse[screen_find(&s, "NAME ")] && !s.reverse[screen_find(&s, "a ")],
	   "titles are in reverse");
	ok(by_name(&s), "by name at first");
	screen_key(&s, 'm');
	ok(screen_wait(&s, by_memory), "m: by resident memory");
	screen_key(&s, 'n');
	ok(screen_wait(&s, by_name), "n: by name again");
	ok(run("balloon a 64M") == 0 && screen_wait(&s, is_64), "it follows a balloon");
	screen_resize(&s, 6, 40);
	ok(screen_wait(&s, host_only), "6 rows of 40: what there is place for");
	screen_resize(&s, 24, 150);
	ok(screen_wait(&s, all_rows) && by_name(&s), "24 rows: all again");
	ok(!s.strange, "nothing was sent beyond the screen, or that is no VT100's");
	screen_key(&s, 'q');
	ok(screen_end(&s) == 0 && pty_restored(&s.pty), "q ends it, the terminal is as before");
	pty_close(&s.pty);

	screen_start(&s, 20, 130, argv);
	screen_wait(&s, all_rows);
	kill(s.pty.pid, SIGTERM);
	ok(screen_end(&s) != 0 && pty_restored(&s.pty), "a signal restores the terminal too");
	pty_close(&s.pty);

	screen_start(&s, 2, 8, argv);
	screen_take(&s, 1000);
	screen_key(&s, 'q');
	ok(screen_end(&s) == 0 && !s.strange, "2 rows of 8 do no harm");
	pty_close(&s.pty);
	run("balloon a max");
}

static bool has_line(const char *want)
{
	char line[200];

	snprintf(line, sizeof(line), "\n%s\n", want);
	return strstr(output, line);
}

static void test_stat(void)
{
	ok(run("stat a") == 0 &&
	   has_line("  exit_vmread                                    70          30          40"),
	   "stat: a guest's VMX instructions, by vCPU");
	ok(has_line("exits of its guests (L2), handled             total       by L1 L0, at once   L0, after") &&
	   has_line("  ept_violation                                 305           0           0         305") &&
	   has_line("  cpuid                                          25          23           2           0"),
	   "its guest's exits, by reason and who handled them");
	ok(!strstr(output, "hlt") && !strstr(output, "nested_l1") && !strstr(output, "drops_zap"),
	   "none that is zero, and none twice");
	ok(has_line("  ept02_leaves                                   77"), "the VM's counters");
	ok(run("stat --json a") == 0 && strstr(output, "\"nested_l1_hlt\": 0") &&
	   strstr(output, "\"nested_slow_ept_violation\": 300") &&
	   strstr(output, "\"ept02_drops_zap\": 0"), "stat --json has all of them");
	ok(run("stat idle") == 0 && !strstr(output, "L2"), "a VM without nesting has no such table");
}

int main(void)
{
	char dir[] = "/tmp/vmctl-control-XXXXXX", path[64];
	pid_t pid[3];

	if (!mkdtemp(dir) || setenv("XDG_RUNTIME_DIR", dir, 1))
		return 1;
	pid[0] = fake("a", 256 * MIB, 40 * MIB);
	pid[1] = fake("idle", 128 * MIB, 0);
	pid[2] = fake("bare", 128 * MIB, -1);
	for (int i = 0; i < 100 && (run("list") || !strstr(output, "\na ") ||
				    !strstr(output, "\nidle ") || !strstr(output, "\nbare ")); i++)
		usleep(50000);
	test_stat();
	test_balloon();
	test_requests();
	test_policy();
	test_top();
	test_screen();
	run("stop a idle bare");
	for (unsigned int i = 0; i < ARRAY_SIZE(pid); i++) {
		int status;

		ok(waitpid(pid[i], &status, 0) == pid[i] && !status, "VM %u ended well", i);
	}
	snprintf(path, sizeof(path), "%s/emys", dir);
	rmdir(path);
	rmdir(dir);
	return tap_done();
}
