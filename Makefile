# Thin on purpose: every target is one or two commands of the library or of pytest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := .stamps
# The Python of a GPU machine, which has its own torch and CuPy.
GPU_PYTHON ?= python3
# What the build is made with is pinned too; pip knows the first name up to 25.2 and the second after it.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find cpp python CMakeLists.txt pyproject.toml -type f -not -name '*.pyc' -not -name '*.so' 2>/dev/null)

.PHONY: demo test tensorrt rivals bench validate gpu-build gpu-ops gpu-sanitize gpu-engines gpu-cohort lint clean

demo: $(STAMP)/package
	$(BIN)/layer-fast demo --out results

test: $(STAMP)/test tensorrt
	$(BIN)/python -m pytest tests -q -n auto --dist loadfile

# The tests compile every graph with TensorRT-RTX (96 MB), which needs no GPU. LAYER_FAST_TENSORRT=0 leaves it out.
tensorrt: $(STAMP)/test
	@if [ "$(LAYER_FAST_TENSORRT)" = 0 ]; then echo "TensorRT-RTX: left out (LAYER_FAST_TENSORRT=0)"; \
	elif [ $(STAMP)/tensorrt -nt constraints.txt ]; then :; \
	elif $(PIP) --retries 1 'layer_fast[tensorrt]'; then touch $(STAMP)/tensorrt; \
	else echo "TensorRT-RTX: pip could not install it (see above); its tests will skip"; fi

# A rival that cannot be installed stops nothing: the page says that it is missing, and why; the next run tries again.
rivals: $(STAMP)/test
	@if [ $(STAMP)/rivals -nt benchmarks/rivals.txt ] && [ $(STAMP)/rivals -nt pyproject.toml ] \
		&& [ $(STAMP)/rivals -nt constraints.txt ]; then exit 0; fi; all=yes; \
	$(PIP) --retries 1 'layer_fast[bench]' || { all=; echo "rivals: pip could not install all (see above)"; }; \
	$(PIP) --retries 1 --no-deps -r benchmarks/rivals.txt || { all=; echo "nnU-Net: pip could not install it (see above)"; }; \
	if [ "$$all" ]; then touch $(STAMP)/rivals; fi

# Rivals, JSON files and the tables of benchmarks/README.md; long, and for a machine that does nothing else.
bench: rivals
	$(BIN)/python -m pytest benchmarks/bench_ops.py -q
	$(BIN)/python benchmarks/run_ops.py
	$(BIN)/python benchmarks/headline.py
	$(BIN)/python benchmarks/bench_graphs.py
	$(BIN)/python benchmarks/bench_evidence.py
	$(BIN)/python benchmarks/page.py

# For a GPU machine, also one that reaches no package registry: docs/guides/gpu.md. The same command goes on where it ended.
gpu-engines:
	PYTHONPATH=$(CURDIR)/python$(GPU_SITE)$(TRT_SITE) $(GPU_PYTHON) benchmarks/bench_gpu_engines.py

# About an hour and a half on two cores, goes on where it stopped; the trained networks need torch.
validate: $(STAMP)/test
	$(BIN)/python -m layer_fast.validation --out benchmarks/results --commit "$$(git rev-parse --short=12 HEAD 2>/dev/null)"
	$(BIN)/python -m layer_fast.validation.page --results benchmarks/results --page docs/validation.md

# Commands for a machine with a GPU. They need no package registry: PYTHON has numpy, CuPy, torch, pybind11 and pytest,
# and cmake and nvcc are on the PATH. Each can be called again and goes on where it stopped. They have not been run yet.
# What a machine lacks comes from the folder that benchmarks/gpu_site.sh packs: LAYER_FAST_GPU_SITE=build/gpu_site.
GPU_SITE := $(if $(LAYER_FAST_GPU_SITE),:$(abspath $(LAYER_FAST_GPU_SITE)))
TRT_SITE := $(if $(LAYER_FAST_TRT_SITE),:$(abspath $(LAYER_FAST_TRT_SITE)))
GPU_ENV := PYTHONPATH=$(CURDIR)/python$(GPU_SITE) LAYER_FAST_REQUIRE_CUDA=1
GPU_TEST_SECONDS ?= 210

gpu-build:
	cmake -S . -B build/gpu -DPython_EXECUTABLE="$$(command -v $(PYTHON))" -DLAYER_FAST_DEV=ON -DLAYER_FAST_CUDA=ON \
		-DLAYER_FAST_CUDA_ARCHITECTURES=RELEASE
	cmake --build build/gpu --parallel

# Tests that fail, or that cannot be collected, do not keep the benchmark from running; the command ends with 2 all the
# same. Tests that passed are run again only after a change.
gpu-ops: gpu-build
	@failed=0; $(MAKE) --no-print-directory build/gpu/ops_tested || failed=1; \
	$(GPU_ENV) $(PYTHON) benchmarks/bench_gpu_ops.py --seconds 200 || failed=1; exit $$failed

build/gpu/ops_tested: $(SOURCES) $(wildcard tests/*.py tests/ops/*.py)
	@$(GPU_ENV) $(PYTHON) -c 'import hypothesis' 2>/dev/null || echo "hypothesis is missing, and with it the tests of half \
	the ops: pack it with benchmarks/gpu_site.sh, then LAYER_FAST_GPU_SITE=build/gpu_site make gpu-ops"
	$(GPU_ENV) timeout $(GPU_TEST_SECONDS) $(PYTHON) -m pytest tests/ops -q -m needs_cuda --continue-on-collection-errors
	@touch $@

gpu-sanitize: gpu-build
	$(GPU_ENV) $(PYTHON) tests/gpu/sanitize.py

# Thousands of scans, and the script of today on 50 of them; 6 minutes a call. Needs more than the others from that folder
# (docs/guides/gpu.md). GPU_COHORT: its options.
gpu-cohort: gpu-build
	LAYER_FAST_REQUIRE_CUDA=1 PYTHONPATH=$(CURDIR)/python$(GPU_SITE)$(TRT_SITE) $(PYTHON) benchmarks/bench_gpu_cohort.py \
		$(GPU_COHORT)

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
	$(PIP) 'layer_fast[test,torch,dicom,openvino]'  # the package is there already: this adds what the tests need
	@touch $@
