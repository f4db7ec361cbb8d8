// SPDX-License-Identifier: GPL-2.0-only
/* The main thread while the VM runs: console, signals, requests, time. */
#include "monitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util.h"
#include "vcpu.h"

/* How long output without a newline may wait. */
#define FLUSH_MS 10

static void kicked(int sig)
{
	(void)sig;
}

int monitor_signals(void)
{
	/* No SA_RESTART: the point is that system calls return. */
	struct sigaction kick = { .sa_handler = kicked };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(VCPU_KICK, &kick, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Writing a message from the background must not stop the VM. */
	signal(SIGTTOU, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void take_signal(struct vm *vm, int fd)
{
	struct signalfd_siginfo si;
	char text[64];

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return;
	snprintf(text, sizeof(text), "by signal %u (%s)", si.ssi_signo,
		 sigabbrev_np(si.ssi_signo) ?: "?");
	vm_stop(vm, STOP_REQUEST, 0, -1, text);
}

static size_t to_uart(void *ctx, const uint8_t *data, size_t len)
{
	struct vm *vm = ctx;

	return uart_input(&vm->uart, data, len);
}

static void print_status(struct vm *vm)
{
	uint64_t ms = vm_uptime_ms(vm);

	say("\n%s: %s, %u CPUs, %llu MiB of %s memory, up %llu.%03llu s\n",
	    vm->cfg->name, vm->cfg->device, vm->nr_vcpus,
	    (unsigned long long)(vm->mem.size / MIB), vm->mem.backend,
	    (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const struct vcpu *v = &vm->vcpus[i];

		say("  vCPU %u: exits to vmctl: %llu io, %llu mmio, %llu signals\n",
		    i, (unsigned long long)v->exits[KVM_EXIT_IO],
		    (unsigned long long)v->exits[KVM_EXIT_MMIO],
		    (unsigned long long)v->exits[KVM_EXIT_INTR]);
	}
}

static void take_input(struct vm *vm)
{
	switch (console_input(&vm->console, to_uart, vm)) {
	case CONSOLE_QUIT:
		vm_stop(vm, STOP_REQUEST, 0, -1, "by key");
		break;
	case CONSOLE_STATUS:
		print_status(vm);
		break;
	case CONSOLE_NONE:
		break;
	}
}

/* Milliseconds poll() may sleep; stops the VM when its time is over. */
static int time_left(struct vm *vm, bool flush)
{
	uint64_t limit = vm->cfg->timeout_ms, up;
	int ms = -1;

	if (limit) {
		up = vm_uptime_ms(vm);
		if (up >= limit) {
			vm_stop(vm, STOP_TIMEOUT, 0, -1, "--timeout passed");
			return 0;
		}
		ms = limit - up > 1000000 ? 1000000 : limit - up;
	}
	if (flush && (ms < 0 || ms > FLUSH_MS))
		ms = FLUSH_MS;
	return ms;
}

void monitor_run(struct vm *vm, struct ctl *ctl, struct follow *follow,
		 int signal_fd)
{
	enum { EVENT, SIGNAL, INPUT, FOLLOW, CTL };
	struct pollfd fds[CTL + CTL_POLLS];
	bool flush = false;
	uint64_t count;

	while (!vm->stop) {
		unsigned int nr;
		int timeout, rc;

		fds[EVENT] = (struct pollfd){ vm->event_fd, POLLIN, 0 };
		fds[SIGNAL] = (struct pollfd){ signal_fd, POLLIN, 0 };
		/* A negative descriptor is skipped. */
		fds[INPUT] = (struct pollfd){
			console_wants_input(&vm->console) ? STDIN_FILENO : -1,
			POLLIN, 0
		};
		fds[FOLLOW] = (struct pollfd){ follow->fd, POLLIN, 0 };
		nr = ctl_poll(ctl, fds + CTL);
		timeout = time_left(vm, flush);
		rc = poll(fds, CTL + nr, timeout);
		if (rc < 0 && errno != EINTR) {
			vm_stop(vm, STOP_INTERNAL, 0, -1, "poll failed");
			break;
		}
		/* Output is written once it was quiet for a moment. */
		if (rc == 0 && flush)
			flush = console_flush(&vm->console);
		if (rc <= 0)
			continue;
		if (fds[EVENT].revents &&
		    read(vm->event_fd, &count, sizeof(count)) > 0) {
			flush = true;
			console_resume(&vm->console, to_uart, vm);
		}
		if (fds[SIGNAL].revents)
			take_signal(vm, signal_fd);
		if (fds[INPUT].revents)
			take_input(vm);
		if (fds[FOLLOW].revents)
			follow_serve(follow, vm);
		ctl_serve(ctl, vm, fds + CTL, nr);
	}
}
