# horus: every developer command. `make help` lists them.
CC ?= gcc
.DEFAULT_GOAL := help
PYTHON ?= python3
.PHONY: help check test python demo asan tsan coverage mutate fuzz soak bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

check: ## the quick gate: warnings, symbols, contents list, format (under a minute)
	@tests/check.sh

test: ## everything; installs what it needs (as root or with INSTALL=1), ends with N passed, N failed
	@tests/run.sh

python: ## the CPython module horus for PYTHON (python3), here, by one gcc command
	gcc -O2 -shared -fPIC -DHORUS_PYTHON_IMPLEMENTATION -x c horus_python.h \
	    -o horus$(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_config_var("EXT_SUFFIX"))') \
	    -I$(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_path("include"))')

asan: ## the C tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@SANITIZE=address tests/run.sh

tsan: ## the C tests under ThreadSanitizer
	@SANITIZE=thread tests/run.sh

coverage: ## lines and branches of horus.h that the C tests take (95 % at least); build/coverage/uncovered.txt lists the rest
	@SANITIZE=coverage tests/run.sh

mutate: ## weakens each memory order, and breaks the protocol step by step: the explorer must object
	@mkdir -p build/mutate && $(CC) -O2 -std=gnu11 -I. -pthread tests/explore.c -o build/mutate/explore
	@build/mutate/explore -m -t 0.5 -j $(or $(JOBS),2) -o tests/caught.txt && python3 tests/explore_mutants.py

fuzz: ## SECONDS=20: fuzzes each target so long
	@tests/fuzz/run.sh -t $(or $(SECONDS),20)

soak: ## MINUTES=30: the large configurations of every harness
	@tests/soak.sh

clean: ## removes everything that was built
	rm -rf build demo_out

-include examples/demo.mk bench/bench.mk
