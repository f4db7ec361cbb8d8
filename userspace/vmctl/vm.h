/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine: a VM of the KVM ABI, its memory, devices and CPUs. */
#ifndef VM_H
#define VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "boot.h"
#include "bus.h"
#include "console.h"
#include "kvm.h"
#include "memory.h"
#include "pci.h"
#include "pm.h"
#include "rtc.h"
#include "uart.h"
#include "virtio_balloon.h"
#include "virtio_pci.h"
#include "virtio_thread.h"

#define VM_SHARES	1000	/* unless asked for others */
#define VM_SHARES_MAX	1000000

/* What the user asked for; constant while the VM lives. */
struct vm_config {
	const char *device;
	const char *name;
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	unsigned int cpus;
	uint64_t memory;
	enum mem_backend backend;
	bool mergeable;
	bool balloon;
	uint64_t balloon_min;	/* bytes no target goes below */
	unsigned int shares;	/* weight when memory is scarce */
	bool console;
	bool sandbox;
	bool nested;		/* the guest may be a hypervisor */
	bool json;
	bool verbose;
	int debug_port;		/* port, or -1 */
	int exit_port;		/* port, or -1 */
	uint64_t timeout_ms;	/* 0: none */
};

/* Exit reasons KVM_EXIT_0 ... below this are counted one by one. */
#define VCPU_EXIT_REASONS 40

struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	int stats_fd;		/* -1 when the device has none */
	struct kvm_run *run;	/* of this vCPU's thread only */
	pthread_t thread;
	bool started;
	_Atomic uint64_t exits[VCPU_EXIT_REASONS];
};

struct vm {
	const struct vm_config *cfg;
	int dev_fd;
	int fd;
	int stats_fd;
	size_t run_size;
	uint64_t start_ms;	/* CLOCK_MONOTONIC */

	struct guest_mem mem;
	struct bus pio;
	struct bus mmio;
	struct board board;
	struct uart uart;
	struct rtc rtc;
	struct pm pm;
	struct console console;
	struct boot boot;
	/* When cfg->balloon: */
	struct pci pci;
	struct virtio_balloon balloon;
	struct virtio_pci balloon_pci;
	struct virtio_thread balloon_thread;

	struct vcpu *vcpus;
	unsigned int nr_vcpus;
	pthread_mutex_t gate;	/* held by main until the CPUs may run */

	/* Set once; the fields after it are valid when it is not STOP_NONE. */
	_Atomic int stop;
	pthread_mutex_t stop_lock;
	unsigned int stop_code;
	int stop_vcpu;		/* -1: not by a vCPU */
	char stop_text[160];
	int event_fd;		/* wakes the main thread */
};

/*
 * Open the device and build everything up to the loaded kernel; no vCPU runs
 * yet. 0 or a negative errno after a message; vm_destroy() is due either way.
 */
int vm_create(struct vm *vm, const struct vm_config *cfg);
void vm_destroy(struct vm *vm);

/* Start the vCPU threads; they wait at the gate. 0 or a negative errno. */
int vm_start(struct vm *vm);
void vm_open_gate(struct vm *vm);

/*
 * Ask for the end, from any thread; the first one counts. @vcpu is the one
 * that caused it or -1, @text says more or is NULL.
 */
void vm_stop(struct vm *vm, enum stop_reason reason, unsigned int code,
	     int vcpu, const char *text);

/* Make every vCPU leave the guest and wait for its thread. */
void vm_join(struct vm *vm);

/* The reason in a word ("poweroff") and as an exit status. */
const char *vm_stop_name(enum stop_reason reason);
int vm_stop_status(const struct vm *vm);

/* Since the VM began; CLOCK_MONOTONIC. */
uint64_t vm_uptime_ms(const struct vm *vm);
uint64_t vm_now_ms(void);

#endif
