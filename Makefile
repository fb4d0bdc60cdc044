# What people and .ci/run do; ARGS="..." is handed on.
PYTHON ?= python
ARGS ?=

# What is run with the oldest versions too: the contract, losses, solvers, estimators.
CORE = tests/test_estimator_checks.py tests/losses tests/pseudo_labels \
	tests/test_clusterer.py tests/test_classifier.py

# Other packages that use this one, or that it reads from.
CLIENTS = tests/clients tests/_training/test_sources.py \
	tests/_training/test_storing.py tests/_training/test_user_callbacks.py

.PHONY: lint types test test-core test-slow test-clients docs bench frozen

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy sklearn_cce

test:
	$(PYTHON) -m pytest $(ARGS)

test-core:
	$(PYTHON) -m pytest $(CORE) $(ARGS)

test-slow:
	$(PYTHON) -m pytest -m slow $(ARGS)

test-clients: # slow ones, too: the recipes
	$(PYTHON) -m pytest -m "not data" $(CLIENTS) $(ARGS)

docs:
	$(PYTHON) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(PYTHON) docs/check_site.py docs/_build/html

bench: # quick ones; the figures of docs/benchmarks.rst take hours
	$(PYTHON) -m benchmarks.clustering --quick --results build/bench
	$(PYTHON) -m benchmarks.pseudo_labels --quick --output build/bench

frozen:
	$(PYTHON) -m benchmarks.frozen_results $(ARGS)
