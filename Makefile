# SPDX-License-Identifier: BSD-2-Clause
# tenon: build, deps, demo, check, bench, install. `make help` lists the targets.
#
# Every lib/*/*.c, raid/*.c, volume/*.c, netdev/*.c, vswitch/*.c, vmm/*.c and tools/lab/*.c goes into one library,
# tools/*.c into the `tenon` command, tools/nbdkit/*.c with some of them into the plugin of nbdkit (for which all is
# compiled so that it can be in one; hidden, and with its thread's variables where a program has them, it costs two instructions of 1,400 a request), each tests/unit/**/NAME_test.c into a test program of its own; the folders
# there mirror the sources', what several tests share is in tests/unit itself. tools/preload/*.c are libraries for programs of others.
# SANITIZE=1 builds with ASan and UBSan into a folder of its own, SANITIZE=thread with TSan into another.

ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
comma   := ,
# V=1 shows the commands.
Q       := $(if $(V),,@)
BUILD   := build$(if $(SANITIZE),-sanitize)$(if $(filter thread,$(SANITIZE)),-thread)

# What builds it, what the demo uses besides, and what the tests use besides that.
DEPS_BUILD := gcc make pkg-config libc6-dev liburing-dev libaio-dev libpcap-dev libnl-3-dev \
	libnl-route-3-dev libcunit1-dev libjansson-dev uuid-dev libblkid-dev libisal-dev \
	libseccomp-dev libyaml-dev libfuse3-dev nbdkit-plugin-dev libnbd-dev libslirp-dev libslirp0 \
	libext2fs-dev nettle-dev zlib1g-dev
DEPS_DEMO  := qemu-system-x86 user-mode-linux 'linux-image-cloud-amd64|linux-image-virtual' mdadm lvm2 e2fsprogs \
	busybox-static cpio kmod python3 procps util-linux
DEPS_TEST  := tcpdump tshark strace fuse3 nbdkit libnbd-bin fio qemu-utils zstd xz-utils bzip2 lz4 gddrescue fdisk iproute2 acpica-tools clang 'libclang-rt-dev|clang' cppcheck \
	clang-tidy clang-format grub-common zsh gdisk dosfstools mtools vde2 vdeplug lldpd smcroute dnsmasq-base passt openvswitch-switch dpdk-dev '^librte-net-virtio[0-9]+$$'
DEPS_BENCH := openvswitch-switch openvswitch-switch-dpdk vde2 qemu-utils dpdk-dev '^librte-net-virtio[0-9]+$$' iperf3 valgrind
# Of `tenon image build debian`.
DEPS_TEST  += btrfs-progs curl fakeroot mmdebstrap uidmap ovmf openssl openssh-client openvswitch-switch

PACKAGES := fuse3 libnbd nettle nbdkit liburing libpcap libnl-3.0 libnl-route-3.0 jansson uuid blkid libseccomp yaml-0.1 ext2fs com_err
WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS := $(CPPFLAGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -Ilib -I$(BUILD) \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(CFLAGS) -fno-strict-aliasing -pthread \
	-fPIC -fvisibility=hidden -ftls-model=initial-exec \
	$(if $(filter thread,$(SANITIZE)),-fsanitize=thread -Wno-tsan -fno-omit-frame-pointer,$(if $(SANITIZE), \
	-fsanitize=address$(comma)undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)) \
	$(if $(SANITIZE),-Wno-maybe-uninitialized)
# What is loaded by who needs it is not linked (lib/util/library.h). By their names to pkg-config, and to the linker, which knows what they are called here.
LOADED   := libnbd libpcap nettle fuse3 libnl-3.0 libnl-route-3.0 blkid libseccomp yaml-0.1 ext2fs com_err
SONAMES  := nbd pcap nettle slirp fuse3 nl-route-3 blkid seccomp yaml ext2fs aio
# The C library first: the loader asks libraries in this order for each name, and most are there (a fifth of what starting costs).
LDLIBS   := -lc $(shell pkg-config --libs $(filter-out $(LOADED),$(PACKAGES)) 2>/dev/null) -lisal -lm -pthread
TESTLIBS := -lpcap -lz # tests ask them by themselves

LIB_SRC  := $(wildcard lib/*/*.c raid/*.c volume/*.c netdev/*.c vswitch/*.c vmm/*.c tools/lab/*.c)
TOOL_SRC := $(wildcard tools/*.c)
UNIT_SRC := $(sort $(shell find tests/unit -name '*_test.c'))
UNIT_LIB := $(wildcard tests/unit/*.c)
HELP_SRC := $(wildcard tests/helpers/*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)

LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(patsubst %.S,$(BUILD)/%.o,$(wildcard lib/*/*.S)) $(BUILD)/lab_scenarios.o
SCENARIOS := $(sort $(wildcard tools/lab/scenarios/*.yaml))
UNITS    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
HELPERS  := $(HELP_SRC:tests/helpers/%.c=$(BUILD)/tests/helpers/%)
BENCHES  := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/tests/bench/%)
LIBRARY  := $(BUILD)/libtenon.a
TENON    := $(BUILD)/tenon
PLUGIN   := $(BUILD)/nbdkit-tenon-plugin.so
PLUGIN_SRC := $(wildcard tools/nbdkit/*.c) tools/host_disk.c tools/host_disk_io.c tools/host_lease.c tools/alone.c tools/pieces.c \
	tools/runtime.c
UML_EVENTS := $(BUILD)/uml-events.so
# Where nbdkit finds it by its name, if that is where it is installed.
NBDKIT_PLUGINS ?= $(if $(filter /usr,$(PREFIX)),$(shell pkg-config --variable=plugindir nbdkit),$(PREFIX)/lib/nbdkit/plugins)
SCRIPTS_INTEROP := $(wildcard tests/interop/*_test.sh)
SCRIPTS_GUEST   := $(wildcard tests/guest/*_test.sh)

.PHONY: all build help deps demo check check-quick check-distributions torture bench bench-quiet bench-compare fuzz lint install \
	uninstall coverage compile-commands clean
.DEFAULT_GOAL := all

all: build
build: $(if $(TOOL_SRC),$(TENON)) $(LIBRARY) $(HELPERS) $(PLUGIN) $(UML_EVENTS)

help:
	@echo 'make demo                 install packages, build, and show the main job on real input; 2 minutes'
	@echo "                          ARGS='--engine kvm|qemu --keep' chooses the machine monitor, keeps the files"
	@echo 'make check                install packages, build, run every test, JOBS=3 at a time; 20 to 40 minutes'
	@echo '                          SANITIZE=1: unit and interop tests under ASan and UBSan'
	@echo 'make check-quick          the unit tests; 1 minute, when it is built'
	@echo 'make torture              every test in its long form; hours. ONLY=unit/raid: those with that in their path.'
	@echo '                          Begun again, it goes on with what failed or was not run yet'
	@echo 'make check-distributions  demo and check in clean Debian 12 and 13, as root and as a user; 3 hours'
	@echo 'make fuzz                 a minute for each fuzz target (FUZZ_SECONDS=60); 20 minutes'
	@echo 'make bench                measure, side by side with other tools; results in build/bench; 10 minutes'
	@echo 'make bench-quiet          what only a machine can tell that does nothing else: latency, delays, small frames; 5 minutes'
	@echo 'make bench-compare        two runs of it beside each other: A=, B= (files, or beginnings of their names); at once'
	@echo 'make mutations            defects put into a copy of raid/ are each found; 3 minutes'
	@echo 'make lint                 clang-format, floors, names, cppcheck, clang-tidy; 3 minutes'
	@echo 'make coverage             lines that the unit tests reach, as HTML in build-coverage; 2 minutes'
	@echo 'make compile-commands     compile_commands.json for editors; at once'
	@echo 'make deps                 install the packages for all of this; minutes, by the network'
	@echo 'make, make build          the tenon command and the library; 2 minutes with -j2'
	@echo 'make install, uninstall   DESTDIR=, PREFIX=$(PREFIX); at once, when it is built'
	@echo 'make clean                remove what was built; at once'

# What is missing is said once, before a compiler says it of every file. Other systems have other names for packages.
$(BUILD)/packages:
	@mkdir -p $(@D)
	@{ command -v $(CC) && pkg-config --exists $(PACKAGES) && \
		printf '#include <libaio.h>\n#include <isa-l.h>\n' | $(CC) -E -o /dev/null -; } >/dev/null 2>&1 || \
		tests/deps --tell $(DEPS_BUILD)
	@touch $@

# What was compiled otherwise is compiled again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','"'"',$(ALL_CFLAGS))' | cmp -s - $@ || echo '$(CC) $(subst ','"'"',$(ALL_CFLAGS))' >$@
.PHONY: FORCE
FORCE:

# #define SONAME_blkid "libblkid.so.1"
$(BUILD)/sonames.h: FORCE | $(BUILD)/packages
	$(Q)names=$$(for name in $(SONAMES); do readelf -d "$$($(CC) -print-file-name=lib$$name.so)" | \
		sed -n "s/.*(SONAME).*\[\(.*\)\]/#define SONAME_$$(echo $$name | tr - _) \"\1\"/p"; done); \
	[ "$$(echo "$$names" | wc -l)" = $(words $(SONAMES)) ] || { echo "not all of these libraries are there to link: $(SONAMES)" >&2; exit 1; }; \
	echo "$$names" | cmp -s - $@ || echo "$$names" >$@

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/packages $(BUILD)/sonames.h
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC   $<')
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S | $(BUILD)/packages
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC   $<')
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The ready scenarios of `tenon raid test` as text in the library: name, contents, and so on, then NULL.
$(BUILD)/lab_scenarios.c: $(SCENARIOS)
	@mkdir -p $(@D)
	$(Q){ echo 'extern const char *const lab_scenarios[]; const char *const lab_scenarios[] = {'; \
		for file in $(SCENARIOS); do name=$${file##*/}; echo "\"$${name%.yaml}\","; \
			sed 's/\\/&&/g; s/"/\\"/g; s/.*/"&\\n"/' $$file; echo ','; done; echo '0 };'; } >$@

$(BUILD)/lab_scenarios.o: $(BUILD)/lab_scenarios.c $(BUILD)/flags
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIBRARY): $(LIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

# As `tenon raid test` has it.
$(BUILD)/uml_events.c: $(UML_EVENTS)
	$(Q){ echo '#include "tools/uml.h"'; echo 'const unsigned char uml_events[] = {'; od -An -v -tx1 $< | sed 's/ / 0x/g; s/$$/,/; s/\([0-9a-f]\) /\1, /g'; \
		echo '};'; echo 'const size_t uml_events_size = sizeof(uml_events);'; } >$@

$(BUILD)/uml_events.o: $(BUILD)/uml_events.c tools/uml.h $(BUILD)/flags
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(TENON): $(TOOL_SRC:%.c=$(BUILD)/%.o) $(BUILD)/uml_events.o $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(PLUGIN): $(PLUGIN_SRC:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,--as-needed -Wl,--exclude-libs,ALL -o $@ $^ $(LDLIBS)

# Without what ours are compiled with to be looked at.
$(UML_EVENTS): tools/preload/uml_events.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -fPIC -shared -o $@ $<

$(BUILD)/tests/unit/%.o: CPPFLAGS += -Itests/unit

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(UNIT_LIB:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(TESTLIBS) -lcunit

$(BUILD)/tests/helpers/%: $(BUILD)/tests/helpers/%.o $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/bench/%.o: CPPFLAGS += -Itests/unit

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/tests/unit/net_guest.o $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What tests/mutations/try.py builds with.
.PHONY: print-flags print-libs mutations
print-flags:
	@echo '$(CC) $(CPPFLAGS) $(ALL_CFLAGS)'
print-libs:
	@echo '$(LDLIBS) $(TESTLIBS)'

# Every defect that is put into a copy of raid/ on purpose is found; UPDATE=1 notes where.
mutations:
	@$(MAKE) --no-print-directory -j2 build
	@TORTURE=1 BUILD=$(BUILD) tests/mutations_test.sh

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# As root, installs what is missing. Another user is told the one line to have run.
deps:
	@tests/deps $(DEPS_BUILD) $(DEPS_DEMO) $(DEPS_TEST)

# ARGS='--engine kvm|qemu --keep'
demo:
	@tests/deps $(DEPS_BUILD) $(DEPS_DEMO)
	@$(MAKE) --no-print-directory -j2 build
	@tests/demo/demo.sh $(ARGS)

check-quick:
	@$(MAKE) --no-print-directory -j2 build $(UNITS)
	@tests/run -j 2 $(BUILD)/logs $(UNITS)

# Two processors, and most of what other tools and guests are waited for is not computed here: a third test has room.
JOBS := 3
check: deps
	@$(MAKE) --no-print-directory check-built SANITIZE=$(SANITIZE)

# With SANITIZE=1 what runs on this host, under ASan and UBSan; else everything, and the unit tests under both.
.PHONY: check-built units
units: $(UNITS)
TESTS_GUEST := $(if $(SANITIZE),,$(SCRIPTS_GUEST)) # in their long form first, since one takes more than an hour
check-built:
	@$(MAKE) --no-print-directory -j2 build units $(if $(SANITIZE),,$(if $(call only,tests/fuzz_test.sh),fuzzers))
	$(if $(SANITIZE)$(TORTURE),,@$(MAKE) --no-print-directory -j2 units SANITIZE=1)
	@BUILD=$(BUILD) TENON=$(CURDIR)/$(TENON) tests/run $(if $(TORTURE),-c -j 2,-j $(JOBS)) $(BUILD)/$(if $(TORTURE),torture,logs) $(call only, \
		$(if $(TORTURE),$(TESTS_GUEST)) $(UNITS) $(SCRIPTS_INTEROP) $(if $(TORTURE),,$(TESTS_GUEST)) \
		$(if $(SANITIZE),,$(wildcard tests/*_test.sh) $(if $(TORTURE),,$(UNITS:$(BUILD)/%=$(BUILD)-sanitize/%))))

# The long form of every test that has one: hours. Begun again, it goes on with what failed or was not run yet (tests/run -c; `rm -r build/torture` begins anew).
# A part of it: ONLY=unit/raid, ONLY=interop, ONLY=guest/raid_walk (what has that in its path).
# The unit tests under sanitizers take ten times as long, and are a run of their own: SANITIZE=1.
only = $(if $(ONLY),$(strip $(foreach test,$(1),$(if $(findstring $(ONLY),$(test)),$(test)))),$(1))
torture: deps
	@TORTURE=1 TEST_TIMEOUT=$(or $(TORTURE_TIMEOUT),14400) $(MAKE) --no-print-directory check-built

lint: $(BUILD)/sonames.h
	@tests/format_test.sh; tests/floors_test.sh; tests/names_test.sh; tests/lint_test.sh

# Fuzz targets are built by clang with all of the library, under ASan and UBSan, in build-fuzz.
FUZZ_SECONDS ?= 60
FUZZ_CC      := clang
FUZZ_CFLAGS  := -std=gnu11 -O1 -g -fno-strict-aliasing -pthread -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_OBJ     := $(LIB_SRC:%.c=build-fuzz/%.o) $(patsubst %.S,build-fuzz/%.o,$(wildcard lib/*/*.S))
FUZZERS      := $(FUZZ_SRC:tests/fuzz/%.c=build-fuzz/%)

build-fuzz/%.o: %.c | $(BUILD)/sonames.h
	@mkdir -p $(@D)
	$(if $(V),,@echo '  FUZZ $<')
	$(Q)$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

build-fuzz/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -c -o $@ $<

build-fuzz/libtenon.a: $(FUZZ_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

build-fuzz/%_fuzz: build-fuzz/tests/fuzz/%_fuzz.o build-fuzz/libtenon.a
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS) $(TESTLIBS)

# Of a program: what is not in the library.
build-fuzz/image_menu_fuzz: build-fuzz/tools/image_menu.o

-include $(shell find build-fuzz -name '*.d' 2>/dev/null)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

fuzz: deps
	@$(MAKE) --no-print-directory -j2 fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz_test.sh

# Measurements beside other tools, in one run, with one file of results (tests/bench/results.py); nothing is asserted.
bench:
	@tests/deps $(DEPS_BUILD) $(DEPS_DEMO) $(DEPS_TEST) $(DEPS_BENCH)
	@$(MAKE) --no-print-directory -j2 build $(BENCHES)
	@mkdir -p build/bench
	@export BENCH_FILE="$(CURDIR)/build/bench/$$(date -u +%Y%m%d-%H%M%S)-$$(git rev-parse --short HEAD || echo unknown).json"; \
	for script in tests/bench/*.sh; do echo "== $$script"; "$$script" || exit 1; done; echo "$$BENCH_FILE"

# What says nothing while others use the machine, and little else, so that a quiet quarter of an hour is enough: how long frames are on their
# way, a delay's error beside netem's in a guest, small frames over far processors and between TAPs beside Open vSwitch.
bench-quiet:
	@$(MAKE) --no-print-directory -j2 $(TENON) $(addprefix $(BUILD)/tests/,bench/guest_bench bench/distance_bench bench/net_blast helpers/link_netem)
	@mkdir -p build/bench
	@export BENCH_FILE="$(CURDIR)/build/bench/$$(date -u +%Y%m%d-%H%M%S)-$$(git rev-parse --short HEAD || echo unknown)-quiet.json"; \
	tests/bench/latency.sh; tests/bench/link_guest.sh; CASES=60B ROUNDS=3 SECONDS_EACH=2 tests/bench/net.sh; \
	CASES="60 60,packed" ROUNDS=2 SECONDS_EACH=2 tests/bench/dpdk.sh; uptime; echo "$$BENCH_FILE"

bench-compare:
	@tests/bench/compare.py "$(A)" "$(B)"

DOCS := README.md CHANGELOG.md HACKING.md LICENSE tests/guest/README.md $(wildcard docs/*.md docs/formats/*.md docs/pictures/*.svg)

install: build
	install -D -m 755 $(TENON) $(DESTDIR)$(PREFIX)/bin/tenon
	install -D -m 644 $(PLUGIN) $(DESTDIR)$(NBDKIT_PLUGINS)/$(notdir $(PLUGIN))
	install -D -m 644 $(UML_EVENTS) $(DESTDIR)$(PREFIX)/lib/tenon/$(notdir $(UML_EVENTS))
	for page in docs/man/*.1; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/} || exit 1; done
	for page in $(DOCS); do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/doc/tenon/$$page || exit 1; done
	install -D -m 644 tools/completion/tenon.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tenon
	install -D -m 644 tools/completion/_tenon $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tenon

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/tenon $(DESTDIR)$(NBDKIT_PLUGINS)/$(notdir $(PLUGIN))
	for page in docs/man/*.1; do rm -f $(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/tenon $(DESTDIR)$(PREFIX)/lib/tenon
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tenon $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tenon

# What the unit tests reach.
coverage:
	@tests/deps $(DEPS_BUILD) lcov
	@$(MAKE) --no-print-directory -j2 units BUILD=build-coverage CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage
	@find build-coverage -name '*.gcda' -delete
	@tests/run -j 2 build-coverage/logs $(UNIT_SRC:tests/unit/%.c=build-coverage/tests/unit/%) | tail -n 1
	@lcov --quiet --capture --directory build-coverage --base-directory . --no-external \
		--exclude '*/tests/*' --output-file build-coverage/all.info
	@genhtml --quiet --output-directory build-coverage/html build-coverage/all.info
	@lcov --summary build-coverage/all.info; echo "build-coverage/html/index.html"

# One entry a source, with the flags that it is built with.
compile-commands:
	@{ echo '['; for source in $(LIB_SRC) $(TOOL_SRC) $(shell find tests -name '*.c'); do \
		printf '%s{"directory": "%s", "file": "%s", "command": "%s"}' "$$comma" '$(CURDIR)' $$source \
			"$(CC) $(CPPFLAGS) -Itests/unit $(ALL_CFLAGS) -c $$source"; \
		comma=",\n"; done | sed 's/\\n/\n/g'; echo; echo ']'; } >compile_commands.json
	@echo compile_commands.json

check-distributions:
	@tests/distributions.sh $(ARGS)

clean:
	rm -rf build build-*/ compile_commands.json
