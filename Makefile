# `make help` lists what there is. Everything runs in a virtual environment of the checkout's own.

# The newest Python that is supported and found, unless one is named: make PYTHON=python3.12 ...
PYTHON ?=
FIND := python3 tests/kit/interpreters.py
VENV ?= .venv
UV_VERSION := 0.13.9
BIN := $(VENV)/bin
RUN := PYTHONPATH=tests $(BIN)/python
SYNCED := $(VENV)/.synced
# Beside the image's Python, which makes .venv where there is one, `make test` runs the unit tests on these.
OTHERS := .venv-3.12/.synced .venv-3.11/.synced

.DEFAULT_GOAL := help
.PHONY: help archive demo test test-long test-e2e test-crash check unit fmt generate lock bench bench-fairness bench-intake bench-operator bench-sender bench-senders bench-shares binaries sbom venv clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(SYNCED) ## From kubectl apply to a delivered mail, on real parts. CONTEXT=name: an existing cluster. ASSETS=folder: envtest's. PATIENCE=3: wait longer.
	@MAILTIER_ASSETS="$(ASSETS)" MAILTIER_PATIENCE="$(PATIENCE)" $(RUN) -m demo $(if $(CONTEXT),--context $(CONTEXT))

test: $(SYNCED) $(OTHERS) ## The tests but their long forms, step by step, within 75 minutes.
	@$(RUN) -m kit.steps test

test-long: $(SYNCED) ## The long forms of the crash, fuzz and scale tests, by hand.
	@$(RUN) -m kit.steps long

test-e2e: $(SYNCED) ## On a real node with pods, as root: image, chart, mail, upgrade; FROM=commit, LONG=1 for all.
	@$(RUN) -m node $(if $(FROM),--from $(FROM)) $(if $(LONG),--long)

test-crash: $(SYNCED) ## SIGKILL at full load, 40 rounds; LONG=1 for 300. MAILTIER_TEST_SEED=number repeats one.
	@$(RUN) -m kit.steps crash$(if $(LONG),-long)

check: $(SYNCED) ## Lint, types, architecture, generated files, unit and property tests: 5 minutes.
	@$(RUN) -m kit.steps check

unit: $(SYNCED) ## Unit and property tests alone.
	@$(BIN)/pytest -q tests/unit

fmt: $(SYNCED) ## Format the code and mend what the linter can.
	$(BIN)/ruff format operator tests
	$(BIN)/ruff check --fix operator tests

generate: $(SYNCED) ## Write the files that are generated: crds/, the chart's CRDs, the reference pages.
	$(RUN) -m kit.generate

COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
  --python-version 3.11 --upgrade

lock: $(SYNCED) ## Resolve the dependencies anew into requirements.lock, and what the image needs of them.
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements.lock
	$(COMPILE) pyproject.toml --all-extras -c requirements.lock -o requirements-runtime.lock
	$(BIN)/python -c 'import tomllib; \
	  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	  $(COMPILE) - -c requirements.lock -o requirements-build.lock

sbom: $(SYNCED) ## Write what the image adds to its base as a CycloneDX SBOM, into dist/.
	@$(RUN) -m kit.sbom

bench: $(SYNCED) ## The sender's benches beside peers, its goals and the chart: 25 minutes; JSON=file.
	$(RUN) -m bench $(if $(JSON),--json $(JSON))

bench-operator: $(SYNCED) ## The operator at 1,000 and 10,000 organizations beside the raw ceiling of the same client.
	$(RUN) -m bench.operator

bench-sender: $(SYNCED) ## From a request to a recorded end, its latency, and the transport beside peers; JSON=file.
	$(RUN) -m bench.sender $(if $(JSON),--json $(JSON))

bench-fairness: $(SYNCED) ## What dead servers, long queues and a relay's limits cost those who share a sender; JSON=file.
	$(RUN) -m bench.fairness $(if $(JSON),--json $(JSON))

bench-senders: $(SYNCED) ## What a message costs with one, two and four senders of one Postgres; JSON=file.
	$(RUN) -m bench.senders $(if $(JSON),--json $(JSON))

bench-intake: $(SYNCED) ## What a request costs at the intake, beside granian and on uvloop; JSON=file.
	$(RUN) -m bench.intake $(if $(JSON),--json $(JSON))

bench-shares: $(SYNCED) ## What attacks on shared parts cost a neighbour; BASE=commit plays them on that tree as well.
	$(RUN) -m bench.shares $(if $(BASE),--base $(BASE))

archive: $(SYNCED) ## Pack the command line into one file a platform, for pipelines and kubectl, into dist/. URL=folder.
	@$(RUN) -m kit.archive --url $(or $(URL),https://downloads.example/mailtier)

binaries: $(SYNCED) ## Build the real parts that tests and demo run, or find them in the cache.
	$(RUN) -m kit.binaries

venv: $(SYNCED) ## Make the virtual environment.

$(SYNCED): requirements.lock pyproject.toml
	@python="$(PYTHON)"; [ -n "$$python" ] || python=$$($(FIND)) || exit 1; \
	$$python -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Mailtier needs Python 3.11 or newer; this is %s. Name one: make PYTHON=python3.13 ..." % sys.version.split()[0])' || exit 1; \
	echo "making $(VENV) with $$($$python --version)" >&2; \
	$$python -m venv --clear $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(call fill,$(VENV))

.venv-%/.synced: requirements.lock pyproject.toml | $(SYNCED)
	@python=$$($(FIND) $*) && echo "making $(@D) with $$($$python --version)" >&2 && $$python -m venv --clear $(@D)
	@$(call fill,$(@D))

define fill
$(BIN)/uv pip sync -q --python $(1)/bin/python --require-hashes requirements.lock && \
  $(BIN)/uv pip install -q --python $(1)/bin/python --no-deps -e . && touch $(1)/.synced
endef

clean: ## Remove the virtual environment and caches of the checkout.
	rm -rf $(VENV) $(dir $(OTHERS)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
