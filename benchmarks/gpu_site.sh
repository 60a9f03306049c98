#!/bin/sh
# Packs what the library needs and a GPU machine may lack, for CPython 3.12 on x86-64 Linux, into build/gpu_site.
# Run where a package registry is reached; on the GPU machine then: LAYER_FAST_GPU_SITE=build/gpu_site make gpu-cohort
set -eu
cd "$(dirname "$0")/.."
wheels=build/gpu_wheels site=build/gpu_site
rm -rf "$wheels" "$site"
mkdir -p "$wheels" "$site"
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --constraint constraints.txt \
    --only-binary=:all: --python-version 3.12 --implementation cp --dest "$wheels" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 nibabel pydantic pyyaml deflate hypothesis
rm -f "$wheels"/numpy-*.whl  # nibabel asks for it; the machine has its own, which CuPy and torch were built for
for wheel in "$wheels"/*.whl; do
    "${PYTHON:-python3}" -m zipfile -e "$wheel" "$site"
done
ls "$wheels"
du -sm "$site"
