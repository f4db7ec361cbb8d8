// SPDX-License-Identifier: GPL-2.0-only
/* The sandbox: what the process may still do once the guest runs. */
#include "sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "console.h"
#include "kvm.h"
#include "util.h"
#include "vmctl.h"

/* Running, stopping, reporting, the control socket, the module's events. */
static const int calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(close),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall),
	SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(tgkill), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(setsockopt), SCMP_SYS(unlink), SCMP_SYS(lseek),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(getrandom),
};

/* tcgetattr() and tcsetattr(), and the KVM requests of a running VM. */
static const unsigned int ioctls[] = {
	TCGETS, TCSETS, TCSETSW, KVM_RUN, KVM_IRQ_LINE, KVM_SIGNAL_MSI,
	KVM_GET_REGS, KVM_GET_SREGS, KVM_TRANSLATE,
};

/* Memory may be mapped and protected, but never to run code. */
static const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };

static void violation(int sig, siginfo_t *info, void *context)
{
	char text[96];
	int n;

	(void)sig;
	(void)context;
	console_restore();
	n = snprintf(text, sizeof(text),
		     "vmctl: sandbox: system call %d refused (--no-sandbox turns it off)\n",
		     info->si_syscall);
	if (write(STDERR_FILENO, text, n) < 0)
		_exit(EXIT_INTERNAL);
	_exit(EXIT_INTERNAL);
}

static int add_rules(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(maps) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	/* Masked: the kernel takes the request as 32 bits, libc may extend. */
	for (size_t i = 0; i < ARRAY_SIZE(ioctls) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
					      ioctls[i]));
	return rc;
}

int sandbox_enter(void)
{
	struct sigaction sa = {
		.sa_sigaction = violation, .sa_flags = SA_SIGINFO,
	};
	scmp_filter_ctx ctx;
	int rc = -ENOMEM;

	sigaction(SIGSYS, &sa, NULL);
	ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx)
		goto out;
	/* The vCPU threads exist already: put them all under the filter. */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	rc = rc ?: seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	rc = rc ?: add_rules(ctx);
	rc = rc ?: seccomp_load(ctx);
	seccomp_release(ctx);
out:
	if (rc)
		msg("sandbox: %s (--no-sandbox runs without)", strerror(-rc));
	return rc;
}
