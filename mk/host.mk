# SPDX-License-Identifier: GPL-2.0-only
# The emulated host: a shell in it, its parts made ahead, its own test.
HOST_ARGS ?=

# A shell in the emulated host with the module loaded and vmctl in PATH.
host: host-module vmctl
	@selftests/host/shell --kernel $(KVER) --guest $(HOST_ARGS)

# Everything a run needs, so that the first test does not pay for it.
host-prepare:
	@selftests/host/get emulator
	@selftests/host/get boot $(KVER)
	@selftests/host/get base
	@selftests/host/get guest 6.1

# The emulated host's own test: statuses, output, hangs, kernel trouble.
host-selftest:
	@selftests/host/selftest $(HOST_ARGS)

.PHONY: host host-prepare host-selftest
