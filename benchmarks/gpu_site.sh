#!/bin/sh
# Packs what the pipeline needs and a GPU machine may lack, for CPython 3.12 on x86-64 Linux, into build/gpu_site.
# Run where a package registry is reached; then: LAYER_FAST_GPU_SITE=build/gpu_site make gpu-cohort
set -eu
cd "$(dirname "$0")/.."
# pydantic and its core must be of one release: those installed here.
version() { "${PYTHON:-python3}" -c "import $1; print($1.__version__)"; }
wheels=build/gpu_wheels site=build/gpu_site
rm -rf "$wheels" "$site"
mkdir -p "$wheels" "$site"
# numpy, scipy and pyarrow are there; with --no-deps nothing of theirs is packed a second time.
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$wheels" \
    nibabel "pydantic==$(version pydantic)" "pydantic_core==$(version pydantic_core)" \
    annotated-types typing-extensions typing-inspection deflate importlib-resources pyyaml
for wheel in "$wheels"/*.whl; do
    "${PYTHON:-python3}" -m zipfile -e "$wheel" "$site"
done
du -sm "$site"
