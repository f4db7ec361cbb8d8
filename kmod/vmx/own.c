// SPDX-License-Identifier: GPL-2.0-only
/* Ownership of VMX operation: resident, transient or shared with another owner. */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/reboot.h>
#include <asm/tlbflush.h>

#include "../compat/syscore.h"
#include "own.h"
#include "usermsr.h"
#include "vmcs.h"
#include "vmx.h"

#ifdef HAVE_CR4_HELPERS
#define EMYS_RESIDENT	true
#else
#define EMYS_RESIDENT	false
#endif

enum own_policy { OWN_AUTO, OWN_RESIDENT, OWN_TRANSIENT, OWN_SHARED };
static const char * const policy_names[] = { "auto", "resident", "transient", "shared" };

static int policy_set(const char *val, const struct kernel_param *kp);
static int policy_get(char *buf, const struct kernel_param *kp);
static const struct kernel_param_ops policy_ops = { .set = policy_set, .get = policy_get };
static int own_policy = OWN_AUTO;
module_param_cb(ownership, &policy_ops, &own_policy, 0644);
MODULE_PARM_DESC(ownership,
		 "VMX ownership: auto (default), resident, transient or shared; takes effect when no VM exists");

/*
 * @vmxon: (c) the VMXON region
 * @resident: this CPU is in VMX operation for emys until resident_off()
 * @how, @prev: of the section now under way
 * @vcpu: whose VMCS is current
 * All but @vmxon are touched only on their CPU with interrupts off.
 */
struct own_cpu {
	void *vmxon;
	bool resident;
	enum vmx_own_how how;
	u64 prev;
	struct emys_vcpu *vcpu;
};

static DEFINE_PER_CPU(struct own_cpu, own_cpu);

static DEFINE_MUTEX(own_lock);	/* users, resident_active, callback_on */
static unsigned int own_users;
static bool resident_active;
static bool callback_on;
static int own_hp_state;

static int policy_set(const char *val, const struct kernel_param *kp)
{
	int i = sysfs_match_string(policy_names, val);

	if (i < 0) {
		pr_err("ownership: \"%s\" is none of auto, resident, transient, shared\n", val);
		return -EINVAL;
	}
	if (i == OWN_RESIDENT && !EMYS_RESIDENT) {
		pr_err("ownership: this kernel does not let a module keep CR4.VMXE set; resident is not possible\n");
		return -EOPNOTSUPP;
	}
	mutex_lock(&own_lock);
	if (own_users) {
		mutex_unlock(&own_lock);
		pr_err("ownership: cannot change while a VM exists\n");
		return -EBUSY;
	}
	own_policy = i;
	mutex_unlock(&own_lock);
	return 0;
}

static int policy_get(char *buf, const struct kernel_param *kp)
{
	return sprintf(buf, "%s\n", policy_names[own_policy]);
}

/* CR4 behind the kernel's back: only with interrupts off and only until leave. */
static void raw_write_cr4(unsigned long val)
{
	asm volatile("mov %0, %%cr4" : : "r" (val) : "memory");
}

#ifdef HAVE_CR4_HELPERS
static void resident_on(void *failed)
{
	struct own_cpu *oc = this_cpu_ptr(&own_cpu);

	if (oc->resident)
		return;
	if (__read_cr4() & X86_CR4_VMXE) {
		atomic_inc(failed);	/* another owner: sections here will share */
		return;
	}
	cr4_set_bits_irqsoff(X86_CR4_VMXE);
	if (vmx_insn_vmxon(__pa(oc->vmxon))) {
		cr4_clear_bits_irqsoff(X86_CR4_VMXE);
		atomic_inc(failed);
		return;
	}
	oc->resident = true;
}

static void resident_off(void *unused)
{
	struct own_cpu *oc = this_cpu_ptr(&own_cpu);

	if (!oc->resident)
		return;
	oc->resident = false;
	/* Another owner may begin now, and take what it finds for the host's. */
	usermsr_restore();
	vmx_insn_vmxoff();	/* a fault means that an emergency was first */
	cr4_clear_bits_irqsoff(X86_CR4_VMXE);
}
#else
static void resident_on(void *failed) { atomic_inc(failed); }
static void resident_off(void *unused) { }
#endif

static int own_online(unsigned int cpu)
{
	atomic_t failed = ATOMIC_INIT(0);
	unsigned long flags;

	if (!READ_ONCE(resident_active))
		return 0;
	local_irq_save(flags);
	resident_on(&failed);
	local_irq_restore(flags);
	/* Without VMX operation here, sections of this CPU are transient. */
	return 0;
}

static int own_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	resident_off(NULL);
	local_irq_restore(flags);
	return 0;
}

int vmx_own_get(void)
{
	atomic_t failed = ATOMIC_INIT(0);
	int r = 0;

	mutex_lock(&own_lock);
	/* Nobody to share with: say so now, not when a vCPU wants to run. */
	if (own_policy == OWN_SHARED && !(__read_cr4() & X86_CR4_VMXE)) {
		pr_warn_ratelimited("ownership=shared, but nobody else is in VMX operation\n");
		mutex_unlock(&own_lock);
		return -EBUSY;
	}
	if (!own_users && (own_policy == OWN_AUTO || own_policy == OWN_RESIDENT)) {
		cpus_read_lock();
		WRITE_ONCE(resident_active, true);
		on_each_cpu(resident_on, &failed, 1);
		/* Half a host resident helps nobody: give KVM its field whole. */
		if (atomic_read(&failed)) {
			WRITE_ONCE(resident_active, false);
			on_each_cpu(resident_off, NULL, 1);
			if (own_policy == OWN_RESIDENT) {
				pr_warn_ratelimited("ownership=resident, but VMX operation is taken on %d CPUs\n",
						    atomic_read(&failed));
				r = -EBUSY;
			}
		}
		cpus_read_unlock();
	}
	if (!r)
		own_users++;
	mutex_unlock(&own_lock);
	return r;
}

void vmx_own_put(void)
{
	mutex_lock(&own_lock);
	if (!--own_users && resident_active) {
		cpus_read_lock();
		WRITE_ONCE(resident_active, false);
		on_each_cpu(resident_off, NULL, 1);
		cpus_read_unlock();
	}
	mutex_unlock(&own_lock);
}

/*
 * In @oc->prev's place. When it is not to be had, nothing may stay current: what
 * reads and writes fields after a failure must not reach the other owner's.
 */
static int load_shared(struct own_cpu *oc, u64 vmcs_pa)
{
	u64 spare = __pa(oc->vmxon);

	if (likely(!vmx_insn_vmptrld(vmcs_pa)))
		return 0;
	/* The VMXON region is not in use here: a VMCS that is good for being cleared. */
	if (vmx_insn_vmptrld(spare) || vmx_insn_vmclear(spare))
		vmx_insn_vmclear(oc->prev);
	return -EIO;
}

int vmx_own_enter(u64 vmcs_pa)
{
	struct own_cpu *oc = this_cpu_ptr(&own_cpu);
	unsigned long cr4;

	lockdep_assert_irqs_disabled();
	if (likely(oc->resident)) {
		oc->how = VMX_OWN_RESIDENT;
		return vmx_insn_vmptrld(vmcs_pa);
	}
	cr4 = __read_cr4();
	if (cr4 & X86_CR4_VMXE) {
		if (vmx_insn_vmptrst(&oc->prev))
			return -EBUSY;
		oc->how = VMX_OWN_SHARED;
		return load_shared(oc, vmcs_pa);
	}
	if (own_policy == OWN_SHARED)
		return -EBUSY;
	raw_write_cr4(cr4 | X86_CR4_VMXE);
	if (vmx_insn_vmxon(__pa(oc->vmxon))) {
		raw_write_cr4(cr4);
		return -EIO;
	}
	oc->how = VMX_OWN_TRANSIENT;
	return vmx_insn_vmptrld(vmcs_pa);
}

void vmx_own_leave(u64 vmcs_pa)
{
	struct own_cpu *oc = this_cpu_ptr(&own_cpu);
	enum vmx_own_how how = oc->how;

	oc->how = VMX_OWN_NONE;
	if (how == VMX_OWN_NONE)
		return;
	vmx_insn_vmclear(vmcs_pa);
	if (how == VMX_OWN_SHARED) {
		if (oc->prev != ~0ull && vmx_insn_vmptrld(oc->prev))
			pr_err_once("cannot give the other VMX owner its VMCS back\n");
	} else if (how == VMX_OWN_TRANSIENT) {
		vmx_insn_vmxoff();
		raw_write_cr4(__read_cr4() & ~X86_CR4_VMXE);
	}
}

bool vmx_own_resident(void)
{
	return this_cpu_read(own_cpu.resident);
}

struct emys_vcpu *vmx_own_vcpu(void)
{
	return this_cpu_read(own_cpu.vcpu);
}

void vmx_own_set_vcpu(struct emys_vcpu *vcpu)
{
	this_cpu_write(own_cpu.vcpu, vcpu);
}

const char *vmx_own_describe(void)
{
	if (READ_ONCE(resident_active))
		return "resident";
	if (__read_cr4() & X86_CR4_VMXE)
		return "shared";
	if ((own_policy == OWN_AUTO || own_policy == OWN_RESIDENT) && EMYS_RESIDENT)
		return "resident";
	return own_policy == OWN_SHARED ? "shared" : "transient";
}

/*
 * Panic, kexec and emergency restart: a CPU that stays in VMX operation blocks
 * INIT. The kernel has one slot for one callback, and KVM warns when the slot is
 * taken, so emys holds it only while kvm_intel is not loaded; KVM's own
 * callback leaves VMX operation wherever CR4.VMXE is set, which covers emys too.
 */
#ifdef HAVE_EMERGENCY_CALLBACK
static void own_emergency(void)
{
	struct own_cpu *oc = this_cpu_ptr(&own_cpu);
	unsigned long cr4 = __read_cr4();

	if (!(cr4 & X86_CR4_VMXE))
		return;
	if (oc->vcpu)
		oc->vcpu = NULL;
	if (!vmx_insn_vmxoff())
		raw_write_cr4(cr4 & ~X86_CR4_VMXE);
}

/* Is it there, as a module or built in? Its symbols are not for everybody to ask for: sysfs is. */
static bool kvm_intel_there(void)
{
	struct kset *modules = THIS_MODULE->mkobj.kobj.kset;
	struct kobject *kvm = modules ? kset_find_obj(modules, "kvm_intel") : NULL;

	kobject_put(kvm);
	return kvm;
}

static void callback_set(bool on)
{
	mutex_lock(&own_lock);
	if (on && !callback_on) {
		cpu_emergency_register_virt_callback(own_emergency);
		callback_on = true;
	} else if (!on && callback_on) {
		cpu_emergency_unregister_virt_callback(own_emergency);
		callback_on = false;
	}
	mutex_unlock(&own_lock);
}

static int own_module_event(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *mod = data;

	if (strcmp(mod->name, "kvm_intel"))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_COMING)
		callback_set(false);
	else if (state == MODULE_STATE_GOING)
		callback_set(true);
	return NOTIFY_DONE;
}

static struct notifier_block own_module_nb = { .notifier_call = own_module_event };
#else
static bool kvm_intel_there(void) { return true; }
static void callback_set(bool on) { }
#endif

/* An orderly reboot: who still runs a guest, or makes one, is in VMX operation only meanwhile. */
static int own_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&own_lock);
	if (own_policy != OWN_SHARED)
		own_policy = OWN_TRANSIENT;
	WRITE_ONCE(resident_active, false);
	on_each_cpu(resident_off, NULL, 1);
	mutex_unlock(&own_lock);
	return NOTIFY_DONE;
}

static struct notifier_block own_reboot_nb = { .notifier_call = own_reboot };

/* Suspend to RAM and shutdown, the last CPU; the others went through hotplug. */
static void own_suspend(void)
{
	own_offline(smp_processor_id());
}

static void own_resume(void)
{
	own_online(smp_processor_id());
}

static struct compat_syscore own_syscore = COMPAT_SYSCORE_INIT(own_suspend, own_resume);

static void own_free(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct own_cpu *oc = per_cpu_ptr(&own_cpu, cpu);

		free_page((unsigned long)oc->vmxon);
		oc->vmxon = NULL;
	}
}

int vmx_own_init(void)
{
	int cpu, r;

	for_each_possible_cpu(cpu) {
		u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL);

		if (!region) {
			own_free();
			return -ENOMEM;
		}
		*region = vmx_caps.rev;
		per_cpu_ptr(&own_cpu, cpu)->vmxon = region;
	}
	r = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "virt/emys:online", own_online, own_offline);
	if (r < 0) {
		own_free();
		return r;
	}
	own_hp_state = r;
	compat_syscore_register(&own_syscore);
	register_reboot_notifier(&own_reboot_nb);
#ifdef HAVE_EMERGENCY_CALLBACK
	register_module_notifier(&own_module_nb);
#endif
	if (!kvm_intel_there())
		callback_set(true);
	return 0;
}

static void own_exit_cpu(void *unused)
{
	usermsr_restore();
}

void vmx_own_exit(void)
{
	callback_set(false);
#ifdef HAVE_EMERGENCY_CALLBACK
	unregister_module_notifier(&own_module_nb);
#endif
	unregister_reboot_notifier(&own_reboot_nb);
	compat_syscore_unregister(&own_syscore);
	cpuhp_remove_state(own_hp_state);	/* own_offline() on every CPU */
	on_each_cpu(own_exit_cpu, NULL, 1);
	own_free();
}
