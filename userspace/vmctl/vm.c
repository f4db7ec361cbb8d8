// SPDX-License-Identifier: GPL-2.0-only
/* The machine: a VM of the KVM ABI, its memory, devices and CPUs. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/emys.h"
#include "acpi.h"
#include "layout.h"
#include "stats.h"
#include "util.h"
#include "vcpu.h"
#include "vmctl.h"

static const struct {
	const char *name;
	int status;
} stops[] = {
	[STOP_NONE] = { "running", EXIT_FAIL },
	[STOP_POWEROFF] = { "poweroff", EXIT_OK },
	[STOP_RESET] = { "reset", EXIT_RESET },
	[STOP_CRASH] = { "crash", EXIT_PANIC },
	[STOP_TRIPLE] = { "triple-fault", EXIT_TRIPLE },
	[STOP_INTERNAL] = { "internal-error", EXIT_INTERNAL },
	[STOP_ENTRY] = { "entry-failure", EXIT_ENTRY },
	[STOP_TIMEOUT] = { "timeout", EXIT_TIMEOUT },
	[STOP_REQUEST] = { "stopped", EXIT_STOPPED },
	[STOP_PORT] = { "exit-port", EXIT_PORT },
};

const char *vm_stop_name(enum stop_reason reason)
{
	return stops[reason].name;
}

int vm_stop_status(const struct vm *vm)
{
	if (vm->stop == STOP_PORT)
		return vm->stop_code ? EXIT_PORT + (vm->stop_code & 63) : EXIT_OK;
	return stops[vm->stop].status;
}

uint64_t vm_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

uint64_t vm_uptime_ms(const struct vm *vm)
{
	return vm_now_ms() - vm->start_ms;
}

static void vm_wake(struct vm *vm)
{
	uint64_t one = 1;

	/* It fails only when the counter is full: then a wake is due. */
	if (write(vm->event_fd, &one, sizeof(one)) < 0)
		return;
}

void vm_stop(struct vm *vm, enum stop_reason reason, unsigned int code,
	     int vcpu, const char *text)
{
	pthread_mutex_lock(&vm->stop_lock);
	if (!vm->stop) {
		vm->stop_code = code;
		vm->stop_vcpu = vcpu;
		snprintf(vm->stop_text, sizeof(vm->stop_text), "%s",
			 text ? text : "");
		atomic_store_explicit(&vm->stop, reason, memory_order_release);
	}
	pthread_mutex_unlock(&vm->stop_lock);
	vm_wake(vm);
}

static void board_set_irq(void *ctx, unsigned int gsi, int level)
{
	struct vm *vm = ctx;
	struct kvm_irq_level irq = { .irq = gsi, .level = level };

	kvm_ioctl(vm->fd, KVM_IRQ_LINE, &irq);
}

static void board_signal_msi(void *ctx, uint64_t addr, uint32_t data)
{
	struct vm *vm = ctx;
	struct kvm_msi msi = {
		.address_lo = addr, .address_hi = addr >> 32, .data = data,
	};

	kvm_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static void board_stop(void *ctx, enum stop_reason reason, unsigned int code)
{
	vm_stop(ctx, reason, code, -1, NULL);
}

static void line_output(void *ctx, uint8_t byte)
{
	struct vm *vm = ctx;

	console_output(&vm->console, byte);
}

static void line_drained(void *ctx)
{
	vm_wake(ctx);
}

static void debug_read(void *dev, uint64_t off, uint8_t *data,
		       unsigned int len)
{
	(void)dev;
	(void)off;
	(void)len;
	*data = PORT_DEBUG;	/* how Bochs says that the port is there */
}

static void debug_write(void *dev, uint64_t off, const uint8_t *data,
			unsigned int len)
{
	struct vm *vm = dev;

	(void)off;
	(void)len;
	console_output(&vm->console, *data);
}

#define CLASS_OTHER 0xff0000

static void balloon_wake(void *ctx)
{
	struct vm *vm = ctx;

	virtio_thread_wake(&vm->balloon_thread);
}

static void balloon_work(void *ctx)
{
	struct vm *vm = ctx;

	virtio_balloon_work(&vm->balloon);
}

static int create_balloon(struct vm *vm)
{
	int rc;

	rc = pci_init(&vm->pci, &vm->pio, &vm->mmio, &vm->board);
	rc = rc ?: virtio_balloon_init(&vm->balloon, &vm->mem, balloon_wake,
				       vm);
	rc = rc ?: virtio_pci_init(&vm->balloon_pci, &vm->balloon.dev, &vm->pci,
				   CLASS_OTHER);
	rc = rc ?: virtio_thread_init(&vm->balloon_thread, balloon_work, vm);
	if (rc)
		msg("balloon: %s", strerror(-rc));
	return rc;
}

static int create_devices(struct vm *vm)
{
	const struct uart_line line = {
		.ctx = vm, .output = line_output, .drained = line_drained,
	};
	const struct bus_region debug = {
		.base = vm->cfg->debug_port, .len = 1, .width = 1, .dev = vm,
		.read = debug_read, .write = debug_write,
	};
	int rc;

	vm->board = (struct board){
		.ctx = vm, .set_irq = board_set_irq,
		.signal_msi = board_signal_msi, .stop = board_stop,
	};
	rc = uart_init(&vm->uart, &vm->pio, PORT_COM1, IRQ_COM1, &vm->board,
		       &line);
	rc = rc ?: rtc_init(&vm->rtc, &vm->pio);
	rc = rc ?: pm_init(&vm->pm, &vm->pio, &vm->board);
	if (!rc && vm->cfg->balloon)
		rc = create_balloon(vm);
	if (!rc && vm->cfg->debug_port >= 0) {
		rc = bus_add(&vm->pio, &debug);
		if (rc)
			msg("--debug-port %#x: port is taken",
			    vm->cfg->debug_port);
	}
	if (!rc && vm->cfg->exit_port >= 0) {
		rc = pm_exit_port(&vm->pm, &vm->pio, vm->cfg->exit_port);
		if (rc)
			msg("--exit-port %#x: port is taken",
			    vm->cfg->exit_port);
	}
	return rc;
}

static int set_slot(struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t size,
		    uint64_t offset)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)vm->mem.base + offset,
	};
	int rc;

	if (!size)
		return 0;
	rc = kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
	if (rc < 0)
		msg("%s: memory slot %u, %#llx bytes at %#llx: %s",
		    vm->cfg->device, slot, (unsigned long long)size,
		    (unsigned long long)gpa, strerror(-rc));
	return rc;
}

/* Interrupt controllers, timer, and the pages VMX wants for real mode. */
static int create_chips(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = LAYOUT_IDENTITY;
	const char *what;
	int rc;

	what = "KVM_SET_IDENTITY_MAP_ADDR";
	rc = kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (rc < 0 && kvm_cap(vm->dev_fd, KVM_CAP_SET_IDENTITY_MAP_ADDR))
		goto fail;
	what = "KVM_SET_TSS_ADDR";
	rc = kvm_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, LAYOUT_TSS);
	if (rc < 0)
		goto fail;
	what = "KVM_CREATE_IRQCHIP";
	rc = kvm_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0);
	if (rc < 0)
		goto fail;
	what = "KVM_CREATE_PIT2";
	rc = kvm_ioctl(vm->fd, KVM_CREATE_PIT2, &pit);
	if (rc < 0)
		goto fail;
	return 0;
fail:
	msg("%s: %s: %s", vm->cfg->device, what, strerror(-rc));
	return rc;
}

/* Map a whole file read-only. */
static int image_open(struct image *img, const char *path)
{
	struct stat st;
	void *map;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		rc = -errno;
		msg("%s: %s", path, strerror(errno));
		goto out;
	}
	rc = -EINVAL;
	if (!S_ISREG(st.st_mode)) {
		msg("%s: not a regular file", path);
		goto out;
	}
	*img = (struct image){ path, (const uint8_t *)"", st.st_size };
	rc = 0;
	if (!st.st_size)
		goto out;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		rc = -errno;
		*img = (struct image){ 0 };
		msg("%s: cannot map: %s", path, strerror(errno));
		goto out;
	}
	img->data = map;
out:
	if (fd >= 0)
		close(fd);
	return rc;
}

static void image_close(struct image *img)
{
	if (img->size)
		munmap((void *)img->data, img->size);
	*img = (struct image){ 0 };
}

static int load_kernel(struct vm *vm)
{
	struct boot *b = &vm->boot;
	int rc;

	b->mem = &vm->mem;
	b->cmdline = vm->cfg->cmdline;
	rc = image_open(&b->kernel, vm->cfg->kernel);
	if (!rc && vm->cfg->initrd)
		rc = image_open(&b->initrd, vm->cfg->initrd);
	if (!rc) {
		rc = acpi_build(&vm->mem, vm->cfg->cpus, vm->cfg->balloon,
				&b->rsdp);
		if (rc)
			msg("the ACPI tables do not fit");
	}
	if (!rc) {
		rc = boot_load(b);
		if (rc)
			msg("%s", b->error);
	}
	/* All of it is in guest memory now. */
	image_close(&b->kernel);
	image_close(&b->initrd);
	if (!rc && vm->cfg->verbose)
		msg("%s: %s, entry %#llx, memory %s", vm->cfg->kernel,
		    b->format, (unsigned long long)b->rip, vm->mem.backend);
	return rc;
}

/* Where the device knows how, VMX is refused for good, not only left out of CPUID. */
static int set_nested(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = EMYS_CAP_NESTED };
	int rc = 0;

	if (!vm->cfg->nested && kvm_cap(vm->fd, EMYS_CAP_NESTED))
		rc = kvm_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
	if (rc < 0)
		msg("%s: refusing nested VMX: %s", vm->cfg->device, strerror(-rc));
	return rc < 0 ? rc : 0;
}

static int create_vcpus(struct vm *vm)
{
	int max = kvm_cap(vm->fd, KVM_CAP_MAX_VCPUS), rc;

	if (max <= 0)
		max = kvm_cap(vm->dev_fd, KVM_CAP_MAX_VCPUS);
	if (max > 0 && vm->cfg->cpus > (unsigned int)max) {
		msg("--cpus %u: %s takes at most %d", vm->cfg->cpus,
		    vm->cfg->device, max);
		return -EINVAL;
	}
	vm->vcpus = calloc(vm->cfg->cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < vm->cfg->cpus; i++)
		vm->vcpus[i].fd = vm->vcpus[i].stats_fd = -1;
	vm->nr_vcpus = vm->cfg->cpus;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		rc = vcpu_create(vm, &vm->vcpus[i], i);
		if (rc)
			return rc;
	}
	return vcpu_set_boot(&vm->vcpus[0], &vm->boot);
}

int vm_create(struct vm *vm, const struct vm_config *cfg)
{
	int rc;

	memset(vm, 0, sizeof(*vm));
	vm->cfg = cfg;
	vm->fd = vm->stats_fd = -1;
	vm->stop_vcpu = -1;
	vm->start_ms = vm_now_ms();
	pthread_mutex_init(&vm->gate, NULL);
	pthread_mutex_init(&vm->stop_lock, NULL);
	vm->balloon_thread.fd = -1;
	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	vm->dev_fd = kvm_open(cfg->device);
	if (vm->dev_fd < 0)
		return vm->dev_fd;
	vm->fd = kvm_ioctl_val(vm->dev_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		msg("%s: cannot create a VM: %s", cfg->device,
		    strerror(-vm->fd));
		return vm->fd;
	}
	vm->stats_fd = stats_open(vm->dev_fd, vm->fd);
	rc = kvm_ioctl_val(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (rc < (int)sizeof(struct kvm_run)) {
		msg("%s: KVM_GET_VCPU_MMAP_SIZE: %d", cfg->device, rc);
		return rc < 0 ? rc : -EPROTO;
	}
	vm->run_size = rc;

	rc = guest_mem_create(&vm->mem, cfg->memory, cfg->backend);
	if (!rc && cfg->mergeable)
		rc = guest_mem_mergeable(&vm->mem);
	rc = rc ?: set_nested(vm);
	rc = rc ?: load_kernel(vm);
	rc = rc ?: create_chips(vm);
	rc = rc ?: set_slot(vm, 0, 0, vm->mem.low, 0);
	rc = rc ?: set_slot(vm, 1, MEM_HOLE_END, vm->mem.high, vm->mem.low);
	rc = rc ?: create_devices(vm);
	return rc ?: create_vcpus(vm);
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	if (vm->stats_fd >= 0)
		close(vm->stats_fd);
	if (vm->fd >= 0)
		close(vm->fd);
	virtio_thread_destroy(&vm->balloon_thread);
	virtio_balloon_destroy(&vm->balloon);
	guest_mem_destroy(&vm->mem);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	if (vm->event_fd >= 0)
		close(vm->event_fd);
}

int vm_start(struct vm *vm)
{
	char name[16];
	int rc;

	pthread_mutex_lock(&vm->gate);
	if (vm->cfg->balloon) {
		rc = virtio_thread_start(&vm->balloon_thread, "balloon");
		if (rc) {
			msg("balloon: cannot start a thread: %s",
			    strerror(-rc));
			return rc;
		}
	}
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		rc = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
		if (rc) {
			msg("vCPU %u: cannot start a thread: %s", i,
			    strerror(rc));
			return -rc;
		}
		vcpu->started = true;
		snprintf(name, sizeof(name), "vcpu%u", i);
		pthread_setname_np(vcpu->thread, name);
	}
	return 0;
}

void vm_open_gate(struct vm *vm)
{
	pthread_mutex_unlock(&vm->gate);
}

void vm_join(struct vm *vm)
{
	console_close(&vm->console);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].started)
			vcpu_kick(&vm->vcpus[i]);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		/* Kick again: a thread may have been in a write before. */
		while (vcpu->started) {
			struct timespec ts;

			clock_gettime(CLOCK_REALTIME, &ts);
			ts.tv_nsec += 20000000;
			if (ts.tv_nsec >= 1000000000) {
				ts.tv_nsec -= 1000000000;
				ts.tv_sec++;
			}
			if (pthread_timedjoin_np(vcpu->thread, NULL, &ts))
				vcpu_kick(vcpu);
			else
				vcpu->started = false;
		}
	}
	virtio_thread_stop(&vm->balloon_thread);
}
