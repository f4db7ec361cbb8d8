// SPDX-License-Identifier: GPL-2.0-only
/* The VM: creation, the two phases of its death, and calls to all its vCPUs. */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "emys.h"
#include "notice.h"

LIST_HEAD(emys_vms);
DEFINE_MUTEX(emys_vms_lock);	/* emys_vms, vm_next_id */
static u32 vm_next_id;

static void vm_notify(const struct emys_vm *vm, enum emys_notice_type type)
{
	struct emys_notice notice = {
		.type = type,
		.vm = vm->id,
		.pid = vm->owner,
		.uid = from_kuid(&init_user_ns, vm->uid),
	};

	emys_notify(&notice);
}

struct emys_vm *emys_vm_create(void)
{
	struct emys_vm *vm;
	int r;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	xa_init(&vm->vcpus);
	vm->owner = task_tgid_nr(current);
	vm->uid = current_euid();
	mmgrab(current->mm);
	vm->mm = current->mm;

	r = vmx_own_get();
	if (r)
		goto err_free;
	r = vmx_vm_init(vm);
	if (r)
		goto err_own;
	clock_vm_init(vm);
	r = mem_vm_init(vm);
	if (r)
		goto err_vmx;

	mutex_lock(&emys_vms_lock);
	vm->id = ++vm_next_id;
	list_add_tail(&vm->link, &emys_vms);
	mutex_unlock(&emys_vms_lock);
	vm_notify(vm, NOTICE_VM_NEW);
	return vm;

err_vmx:
	vmx_vm_destroy(vm);
err_own:
	vmx_own_put();
err_free:
	mmdrop(vm->mm);
	kfree(vm);
	return ERR_PTR(r);
}

void emys_vm_get(struct emys_vm *vm)
{
	kref_get(&vm->ref);
}

struct emys_vm *emys_vm_next(u32 after)
{
	struct emys_vm *vm, *found = NULL;

	mutex_lock(&emys_vms_lock);
	/* In order of their ids: appended under the lock that counts them */
	list_for_each_entry(vm, &emys_vms, link) {
		/* One whose last reference is gone waits for this lock to leave the list */
		if (vm->id > after && kref_get_unless_zero(&vm->ref)) {
			found = vm;
			break;
		}
	}
	mutex_unlock(&emys_vms_lock);
	return found;
}

static void vm_release(struct kref *ref)
{
	struct emys_vm *vm = container_of(ref, struct emys_vm, ref);
	struct emys_vcpu *vcpu;
	unsigned int i;

	mutex_lock(&emys_vms_lock);
	list_del(&vm->link);
	mutex_unlock(&emys_vms_lock);

	emys_vm_kill(vm);
	irqfd_release(vm);
	/* Devices may post to vCPUs until they are gone themselves. */
	pit_destroy(vm);
	/* What L1s gave their CPUs is memory of the VM. */
	emys_for_each_vcpu(i, vcpu, vm)
		nested_vcpu_destroy(vcpu);
	/* The mmu notifier holds no reference and kicks vCPUs: it goes before them. */
	mem_vm_destroy(vm);
	emys_for_each_vcpu(i, vcpu, vm)
		emys_vcpu_destroy(vcpu);
	irqchip_destroy(vm);
	xa_destroy(&vm->vcpus);
	vmx_vm_destroy(vm);
	vmx_own_put();
	mmdrop(vm->mm);
	vm_notify(vm, NOTICE_VM_GONE);
	kfree(vm);
}

void emys_vm_put(struct emys_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

void emys_vm_kill(struct emys_vm *vm)
{
	WRITE_ONCE(vm->dead, true);
	emys_vm_request_all(vm, EMYS_REQ_DEAD);
	mem_vm_kill(vm);
}

void emys_vm_broken(struct emys_vm *vm, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	if (xchg(&vm->dead, true))
		return;
	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err_ratelimited("VM %u of process %d stopped: %pV\n", vm->id, vm->owner, &vaf);
	va_end(args);
	emys_vm_request_all(vm, EMYS_REQ_DEAD);
}

static void noop(void *unused)
{
}

void emys_vm_kick_all_wait(struct emys_vm *vm)
{
	struct emys_vcpu *vcpu;
	unsigned int i;

	atomic64_inc(&vm->stats.remote_flushes);
	/* Pairs with the barrier between mode = IN_GUEST and the look at the generation. */
	smp_mb();
	emys_for_each_vcpu(i, vcpu, vm)
		/* A CPU answers only with interrupts on, so out of the section. */
		if (smp_load_acquire(&vcpu->mode) != EMYS_OUTSIDE)
			smp_call_function_single(READ_ONCE(vcpu->cpu), noop, NULL, 1);
}

void emys_vm_request_all(struct emys_vm *vm, enum emys_request req)
{
	struct emys_vcpu *vcpu;
	unsigned int i;

	emys_for_each_vcpu(i, vcpu, vm) {
		emys_vcpu_request(vcpu, req);
		emys_vcpu_kick(vcpu);
	}
}

struct emys_vcpu *emys_vcpu_by_apic_id(struct emys_vm *vm, u32 id)
{
	struct emys_vcpu *vcpu;
	unsigned int i;

	/* IDs are handed out in order by every VMM: look at that place first. */
	vcpu = xa_load(&vm->vcpus, id);
	if (vcpu && vcpu->id == id)
		return vcpu;
	emys_for_each_vcpu(i, vcpu, vm)
		if (vcpu->id == id)
			return vcpu;
	return NULL;
}
