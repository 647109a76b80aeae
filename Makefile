# tenon: build, deps, demo, check, bench, install. `make help` lists the targets.
#
# Every lib/*/*.c, raid/*.c, volume/*.c, netdev/*.c, vswitch/*.c and vmm/*.c goes into one library,
# tools/*.c into the `tenon` command, each tests/unit/**/NAME_test.c into a test program of its own; the folders
# there mirror the sources', what several tests share is in tests/unit itself.
# SANITIZE=1 builds with ASan and UBSan into a folder of its own.

ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
comma   := ,
# V=1 shows the commands.
Q       := $(if $(V),,@)
BUILD   := build$(if $(SANITIZE),-sanitize)

# What builds it, what the demo uses besides, and what the tests use besides that.
DEPS_BUILD := gcc make pkg-config libc6-dev liburing-dev libaio-dev libpcap-dev libnl-3-dev \
	libnl-route-3-dev libcunit1-dev libjansson-dev uuid-dev libblkid-dev zlib1g-dev libisal-dev \
	libseccomp-dev
DEPS_DEMO  := qemu-system-x86 user-mode-linux linux-image-cloud-amd64 mdadm lvm2 e2fsprogs \
	busybox-static cpio kmod python3 procps util-linux
DEPS_TEST  := qemu-utils zstd xz-utils bzip2 lz4 gddrescue fdisk iproute2 acpica-tools clang-14 libclang-rt-14-dev cppcheck \
	clang-tidy-14 clang-format-14 grub-common dpdk-dev librte-net-virtio23
DEPS_BENCH := openvswitch-switch vde2 qemu-utils dpdk-dev librte-net-virtio23 iperf3

PACKAGES := liburing libpcap libnl-3.0 libnl-route-3.0 jansson uuid blkid zlib libseccomp
WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS := $(CPPFLAGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -Ilib \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(CFLAGS) -fno-strict-aliasing -pthread \
	$(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-omit-frame-pointer \
	-fno-sanitize-recover=undefined)
LDLIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -laio -lisal -lm -pthread

LIB_SRC  := $(wildcard lib/*/*.c raid/*.c volume/*.c netdev/*.c vswitch/*.c vmm/*.c)
TOOL_SRC := $(wildcard tools/*.c)
UNIT_SRC := $(sort $(shell find tests/unit -name '*_test.c'))
UNIT_LIB := $(wildcard tests/unit/*.c)
HELP_SRC := $(wildcard tests/helpers/*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)

LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(patsubst %.S,$(BUILD)/%.o,$(wildcard lib/*/*.S))
UNITS    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
HELPERS  := $(HELP_SRC:tests/helpers/%.c=$(BUILD)/tests/helpers/%)
BENCHES  := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/tests/bench/%)
LIBRARY  := $(BUILD)/libtenon.a
TENON    := $(BUILD)/tenon
SCRIPTS_INTEROP := $(wildcard tests/interop/*_test.sh)
SCRIPTS_GUEST   := $(wildcard tests/guest/*_test.sh)

.PHONY: all build help deps demo check check-quick bench fuzz lint format install clean
.DEFAULT_GOAL := all

all: build
build: $(if $(TOOL_SRC),$(TENON)) $(LIBRARY) $(HELPERS)

help:
	@echo 'make demo         install packages, build, and show the main job on real input'
	@echo 'make check        install packages, build, run every test (SANITIZE=1: with ASan, UBSan)'
	@echo 'make check-quick  unit tests only, one minute'
	@echo 'make bench        measure, side by side with other tools'
	@echo 'make fuzz         a minute for each fuzz target (FUZZ_SECONDS=60)'
	@echo 'make lint         clang-format, cppcheck, clang-tidy'
	@echo 'make install      DESTDIR=, PREFIX=$(PREFIX)'

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC   $<')
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC   $<')
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBRARY): $(LIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(TENON): $(TOOL_SRC:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/unit/%.o: CPPFLAGS += -Itests/unit

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(UNIT_LIB:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcunit

$(BUILD)/tests/helpers/%: $(BUILD)/tests/helpers/%.o $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

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

check: deps
	@$(MAKE) --no-print-directory check-built SANITIZE=$(SANITIZE)

.PHONY: check-built
check-built:
	@$(MAKE) --no-print-directory -j2 build $(UNITS) $(if $(SANITIZE),,fuzzers)
	@BUILD=$(BUILD) TENON=$(CURDIR)/$(TENON) tests/run -j 2 $(BUILD)/logs $(UNITS) $(SCRIPTS_INTEROP) \
		$(if $(SANITIZE),,$(SCRIPTS_GUEST) tests/fuzz_test.sh tests/lint_test.sh)

lint:
	@tests/lint_test.sh

# Fuzz targets are built by clang with all of the library, under ASan and UBSan, in build-fuzz.
FUZZ_SECONDS ?= 60
FUZZ_CC      := clang-14
FUZZ_CFLAGS  := -std=gnu11 -O1 -g -fno-strict-aliasing -pthread -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_OBJ     := $(LIB_SRC:%.c=build-fuzz/%.o) $(patsubst %.S,build-fuzz/%.o,$(wildcard lib/*/*.S))
FUZZERS      := $(FUZZ_SRC:tests/fuzz/%.c=build-fuzz/%)

build-fuzz/%.o: %.c
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
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

-include $(shell find build-fuzz -name '*.d' 2>/dev/null)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

fuzz: deps
	@$(MAKE) --no-print-directory -j2 fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz_test.sh

# Measurements beside other tools, in one run; nothing is asserted.
bench:
	@tests/deps $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_BENCH)
	@$(MAKE) --no-print-directory -j2 build $(BENCHES)
	@for script in tests/bench/*.sh; do echo "== $$script"; "$$script" || exit 1; done

install: build
	install -D -m 755 $(TENON) $(DESTDIR)$(PREFIX)/bin/tenon
	for page in docs/man/*.1; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}; done
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/tenon/LICENSE
	install -m 644 README.md CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/tenon/

clean:
	rm -rf build build-sanitize build-fuzz
