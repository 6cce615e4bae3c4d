# horus: every developer command. `make help` lists them.
CC ?= gcc
.DEFAULT_GOAL := help
.PHONY: help check test demo asan ubsan tsan coverage bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

check: ## the quick gate: warnings, symbols, contents list, format (under a minute)
	@tests/check.sh

test: ## everything; installs what it needs (as root or with INSTALL=1), ends with N passed, N failed
	@tests/run.sh

asan: ## the C tests under AddressSanitizer
	@SANITIZE=address tests/run.sh

ubsan: ## the C tests under UndefinedBehaviorSanitizer
	@SANITIZE=undefined tests/run.sh

tsan: ## the C tests under ThreadSanitizer
	@SANITIZE=thread tests/run.sh

coverage: ## line coverage of horus.h by the C tests
	@SANITIZE=coverage tests/run.sh

clean: ## removes everything that was built
	rm -rf build demo_out

-include examples/demo.mk bench/bench.mk
