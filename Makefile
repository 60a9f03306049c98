# Thin on purpose: every target is one or two commands of the library or of pytest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := .stamps
# What the build is made with is pinned too; pip knows the first name up to 25.2 and the second after it.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find cpp python CMakeLists.txt pyproject.toml -type f -not -name '*.pyc' -not -name '*.so' 2>/dev/null)

.PHONY: demo test bench validate lint clean

demo: $(STAMP)/package
	$(BIN)/layer-fast demo --out results

test: $(STAMP)/test
	$(BIN)/python -m pytest tests -q -n auto --dist loadfile

bench: $(STAMP)/test
	$(BIN)/python -m pytest benchmarks -q

validate: $(STAMP)/package
	$(BIN)/python -m layer_fast.phantom.validation --out benchmarks/results/validation_reference.json

lint: $(STAMP)/test
	$(BIN)/ruff check python tests benchmarks
	$(BIN)/mypy python/layer_fast
	$(BIN)/lint-imports

clean:
	rm -rf build $(STAMP) $(VENV)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "layer_fast needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(STAMP)/package: $(BIN)/python constraints.txt $(SOURCES)
	@mkdir -p $(STAMP)
	@echo "building and installing layer_fast into $(VENV) (a few minutes the first time)"
	$(PIP) .
	@touch $@

$(STAMP)/test: $(STAMP)/package
	$(PIP) 'layer_fast[test,torch,dicom]'  # the package is there already: this adds what the tests need
	@touch $@
