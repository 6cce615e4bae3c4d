.PHONY: bench
bench: ## every budget against its floor and its peers (fifteen minutes); QUICK=1: a smoke test
	@QUICK=$(QUICK) INSTALL=$(INSTALL) CC="$(CC)" CXX="$(CXX)" python3 bench/run.py
