"""The only place where a tolerance is written, each with its reason."""

from __future__ import annotations

# --- resampling ---
# float32 weights and three nested float32 sums against float64: a few ulp of the largest input magnitude.
RESAMPLE_RELATIVE = 1e-6
# The same, after a recursive filter in float32 along three axes whose coefficients overshoot the input.
BSPLINE_RELATIVE = 4e-6
# Shares of a box: float32 weights summed over at most some hundred voxels.
FRACTION_ABSOLUTE = 1e-6

# --- quantify ---
# Sums of at most a few thousand float64 numbers of size about 1, in another order than the code's.
FLOAT64_SUM = 1e-12
# 64 weighted differences of coalition values of size up to 40, weights adding to 1, against v(all) - v(none).
SHAPLEY_EFFICIENCY = 1e-12
# Statistics against an independent computation (SciPy): the house's goal for cohort statistics.
STATISTICS = 1e-9

# --- whole runs ---
# A float32 engine against the same network in float64: a dot product of a few dozen terms.
ENGINE_RTOL = 2e-5
ENGINE_ATOL = 2e-6
# Float64 sums of numbers of size about 1.
ROUNDING = 1e-12
# MiB of resident memory that one more scan in a stream may cost; the run's own bookkeeping is constant.
MIB_PER_SCAN = 0.01

# --- layers and intensities ---
# Sums in float64 over fixed lanes and tiles, against math.fsum: relative to the sum of magnitudes.
SUM_RELATIVE = 1e-12
# float32 lerps with float32 weights against float64: a few ulp of the map's largest magnitude.
INTERPOLATION_RELATIVE = 1e-6
# layer_weights: float64 sums of at most millions of weights; differences of running totals along x.
WEIGHTS_RELATIVE = 1e-11
# Mean and deviation by tiles (no cancellation) or exact counts, against a two-pass float64 oracle.
STATS_RELATIVE = 1e-12
# One rounding to float32 after float64 arithmetic with a reciprocal: 1 ulp of a result near 1, or of a z-score.
NORMALIZE_RELATIVE = 1.3e-7
NORMALIZE_ABSOLUTE = 1e-7

# --- phantom ---
# A layer's mean grey value against the planted dB: noise floor, neighbours blurred in at the edges, steps of 0.24 dB.
PHANTOM_EFFECT_DB = 0.8
# NIfTI keeps its affine in float32.
NIFTI_AFFINE_RELATIVE = 1e-6

# --- graphs ---
# A rule in float64 against central differences with step 1e-5: their truncation and rounding.
RULE_FLOAT64 = 1e-6
# The same rule in float32 in an engine.
RULE_FLOAT32 = 1e-4
# A piecewise linear operator in float32 against its own forward: sums of at most some hundred terms.
RULE_LINEAR = 2e-5
# Forward of a whole network, float32 in an engine against float64 in torch, L2 relative.
NET_FORWARD = 1e-5
# Gradient and map of a whole network with smooth activations, L2 relative against torch in float64.
NET_SMOOTH = 1e-5
# The same where a pre-activation within rounding of zero may flip a ReLU gate or a maximum: L2 and cosine.
NET_KINKED = 1e-2
NET_COSINE = 0.9999
# fp16 weights and compute (11 bits) through a whole small network against its float32 twin, L2 relative.
HALF_FORWARD = 5e-3

# --- models ---
# Mean of the features times the last layer's weights against the margin: float32 sums over some hundred cells.
GRADCAM_COMPLETENESS = 1e-3
# Floors of Dice on three held-out phantoms; the issue asks 0.9 for thick layers and 0.7 for thin ones.
REFERENCE_DICE = {
    "dermis": 0.9,
    "superficial_fat": 0.9,
    "superficial_fascial_membrane": 0.7,
    "deep_fat": 0.9,
    "deep_fascial_membrane": 0.7,
    "muscle": 0.9,
}
# Four held-out twins with an effect of 6 dB and +40 %: 16 pairs, so one pair in the wrong order is 0.06.
REFERENCE_SMOKE_AUC = 0.85

# --- engines ---
# The torch engine in float64 against the network itself in float64, L2 relative. The arithmetic agrees to 1e-12, but
# the exporter folds batch normalisation into convolution weights and rounds those to float32.
TORCH_FLOAT64 = 2e-6
# Two float32 engines on the same graph, L2 relative: a few dozen layers of float32 sums in different orders.
ENGINE_PAIR = 2e-5
# fp16 compute, rounded after every node by one engine and in fused groups by another, L2 relative. Not for small
# logits.
ENGINE_PAIR_HALF = 2e-2
# Layer tables of one tiny cohort from two engines: float32 sums of maps and values of size about 1, relative to the
# largest number of the column.
ENGINE_TABLES = 2e-5

# --- slices ---
# A margin of size up to 20 as a mean over slices, one batch against one slice at a time: float32 sums of some hundred
# terms in another order, in logits.
SLICE_POOLING = 1e-4

# --- export ---
# Finite differences in float32 of a network of one ReLU layer; docs/decisions.md has the deviations of real ones.
EXPORT_DIFFERENCES = 3e-2
# A standard deviation of margins that float32 sums of some hundred terms have moved, kept to 6 digits.
EXPORT_SPREAD = 1e-3
# Profiles are kept to 5 decimals.
EXPORT_PROFILE = 1e-5

# --- parity with Captum ---
# Per-layer table of a map in float32 against Captum's in float64: mean relative to the layer's root mean square, sum of
# the positive part relative, share absolute. Seen: up to 4e-6, and 3e-5 where a ReLU gate flips.
LAYER_PARITY = 1e-4

# --- maps from elsewhere ---
# Numbers of a map of some dozen voxels in float64 against the same sums in another order; a min-max or z-score divides
# by a difference that may be a thousandth of its terms.
MAP_NUMBERS = 1e-9

# --- fills ---
# A float32 engine reads a layer's mean as a dot product of 128 terms of size 1/128, weights up to 2: worst case
# 2 * 900 * 2**-24 over the whole input, for its own mean and for a shuffle of its voxels alike.
BLIND_FILL = 1.1e-4
# A float32 fill against float64 loops: one rounding of numbers in [0, 1].
FILL_ROUNDING = 1e-7
