# The examples and the demo. The Makefile includes this; by itself: make -f examples/demo.mk demo
#
#     make demo                          10 s: /dev/video0, else a rendered scene
#     make demo SECONDS=0                until Ctrl-C
#     make demo IMAGES=dir OUT=dir       PNG and JPG files in, pictures out (default ./demo_out)
#     make demo INSTALL=1                installs what is missing (root: always; INSTALL=0: never)
#     make examples                      every example that this machine can build

BUILD ?= build
OUT ?= demo_out
DEMO_SECONDS ?= $(or $(SECONDS),10)
DEMO_CC := $(if $(filter default undefined,$(origin CC)),gcc,$(CC))
EXAMPLES := $(BUILD)/examples

# Says what is missing and how to get it, or gets it.
define DEMO_NEED
missing=
command -v "$DEMO_CC" >/dev/null && echo '#include <stdio.h>' | "$DEMO_CC" -E - >/dev/null 2>&1 ||
    missing="a C compiler with its headers"
if [ -z "$missing" ]; then
    for dir in stb/ ""; do
        printf "#include <${dir}%s>\n" stb_image.h stb_image_write.h stb_easy_font.h |
            "$DEMO_CC" -E -x c - >/dev/null 2>&1 && exit 0
    done
    missing="the stb headers, which read, write and label pictures"
fi
if command -v apt-get >/dev/null; then
    get="apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev libstb-dev"
elif command -v dnf >/dev/null; then
    get="dnf install -y gcc glibc-devel stb_image-devel stb_image_write-devel stb_easy_font-devel"
elif command -v pacman >/dev/null; then
    get="pacman -Sy --noconfirm gcc stb"
elif command -v zypper >/dev/null; then
    get="zypper install -y gcc glibc-devel stb-devel"
elif command -v apk >/dev/null; then
    get="apk add gcc musl-dev linux-headers stb"
else
    echo "make demo: missing: $missing. Install gcc and https://github.com/nothings/stb." >&2
    exit 1
fi
root=; [ "$(id -u)" = 0 ] || root="sudo "
if [ "$INSTALL" = 1 ] || { [ -z "$root" ] && [ "$INSTALL" != 0 ]; }; then
    echo "make demo: installing $missing: $root$get" >&2
    ${root}sh -c "$get" >&2
else
    echo "make demo: missing: $missing. This installs it, and so does make demo INSTALL=1:" >&2
    echo "    ${root}sh -c '$get'" >&2
    exit 1
fi
endef

.PHONY: demo demo-build demo-need examples
demo-need: export DEMO_NEED := $(value DEMO_NEED)
demo-need:
	@DEMO_CC='$(DEMO_CC)' INSTALL='$(INSTALL)' sh -c "$$DEMO_NEED"

# One gcc line each, those that the examples name themselves.
EXAMPLE_FLAGS ?= -O2
$(EXAMPLES)/%: examples/%.c horus.h | demo-need
	@mkdir -p $(@D)
	$(DEMO_CC) $(EXAMPLE_FLAGS) -I. $< -o $@ -lm -pthread
$(EXAMPLES)/consumer: examples/consumer.cpp horus.h | demo-need
	@mkdir -p $(@D)
	$(DEMO_CC) $(EXAMPLE_FLAGS) -x c -DHORUS_IMPLEMENTATION -c horus.h -o $@.o
	g++ -std=c++11 $(EXAMPLE_FLAGS) -I. $< $@.o -o $@ -pthread
$(EXAMPLES)/firmware.elf: examples/firmware.c horus.h
	@mkdir -p $(@D)
	arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -O2 -I. $< -o $@ --specs=rdimon.specs \
	    -Wl,--section-start=.vectors=0

demo-build: $(addprefix $(EXAMPLES)/,camera detector recorder demo)
demo: ## camera, detector, recorder: live table, pictures in ./demo_out (IMAGES=dir, SECONDS=10)
	@$(MAKE) --no-print-directory -j4 -f $(firstword $(MAKEFILE_LIST)) demo-build
	@$(EXAMPLES)/demo --seconds '$(DEMO_SECONDS)' --out '$(OUT)' $(if $(IMAGES),--images '$(IMAGES)')

EXAMPLE_NAMES := hello_pub hello_sub camera detector recorder demo cloud_filter depth_stop \
    work_queue reliable_command firmware $(if $(shell command -v g++),consumer) \
    $(if $(shell command -v arm-none-eabi-gcc),firmware.elf)
examples: $(addprefix $(EXAMPLES)/,$(EXAMPLE_NAMES)) ## every example that this machine can build
