"""The numeric core, and the tests of each of its modules, the quickest first."""

from __future__ import annotations

CKA, STATS, SRGA = "tests/analysis/cka", "tests/analysis/stats", "tests/analysis/srga"
NOISE, METRICS = "tests/mtd/noise", "tests/mtd/metrics"
SUMS = [f"{CKA}/test_hsic.py", f"{CKA}/test_functional.py", f"{STATS}/test_jackknife.py"]
FEATURES = [
    *(f"{CKA}/test_hsic.py", f"{CKA}/test_feature_sums.py", *SUMS[1:]),
    "tests/gpu/test_analysis_sums.py",  # also under autocast
]

CORE: dict[str, list[str]] = {
    "analysis/cka/functional.py": [f"{CKA}/test_functional.py"],
    "analysis/cka/hsic.py": SUMS,
    "analysis/cka/hsic_from_features.py": FEATURES,
    "analysis/cka/feature_sums.py": FEATURES,
    "analysis/cka/features.py": FEATURES,
    "analysis/cka/hsic_from_grams.py": SUMS,
    "analysis/cka/hsic_sums.py": [*SUMS, f"{CKA}/test_cka_tables.py"],
    "analysis/cka/leaving_out.py": [f"{CKA}/test_leaving_out.py"],
    "analysis/cka/moments.py": FEATURES,
    "analysis/cka/measures.py": [f"{CKA}/test_measures.py"],
    "analysis/cka/feature_measures.py": [
        f"{CKA}/test_feature_measures.py",
        f"{CKA}/test_measures.py",
    ],
    "analysis/cka/transport.py": [f"{CKA}/test_feature_measures.py", f"{CKA}/test_leaving_out.py"],
    "analysis/cka/spectra.py": [f"{CKA}/test_removal.py"],
    "analysis/stats/arrays.py": SUMS,
    "analysis/stats/controls.py": [f"{STATS}/test_controls.py", f"{STATS}/test_trainings.py"],
    "analysis/stats/generalized_gaussian.py": [f"{STATS}/test_generalized_gaussian.py"],
    "analysis/stats/gram_pca.py": [
        f"{SRGA}/test_score.py",
        "tests/analysis/degradation/test_separability.py",
    ],
    "analysis/stats/histograms.py": [f"{STATS}/test_histograms.py"],
    "analysis/stats/jackknife.py": [f"{STATS}/test_jackknife.py"],
    "analysis/stats/model_differences.py": [
        f"{STATS}/test_model_differences.py",
        f"{STATS}/test_trainings.py",
    ],
    "analysis/stats/paired_tests.py": ["tests/analysis/generalization/test_pairwise_tests.py"],
    "analysis/stats/permutation.py": [
        f"{STATS}/test_permutation.py",
        f"{STATS}/test_permutation_of_photographs.py",
    ],
    "analysis/stats/rank_correlation.py": [f"{STATS}/test_rank_correlation.py"],
    "analysis/stats/rounding.py": [f"{STATS}/test_rounding.py"],
    "analysis/stats/trainings.py": [f"{STATS}/test_trainings.py"],
    "analysis/stats/undefined.py": [f"{SRGA}/test_score.py"],
    "analysis/srga/score.py": [f"{SRGA}/test_score.py", f"{SRGA}/test_srga_controls.py"],
    "analysis/srga/fits.py": [f"{SRGA}/test_score.py", f"{SRGA}/test_fits.py"],
    "analysis/srga/robustness.py": [f"{SRGA}/test_robustness.py"],
    "mtd/metrics/psnr_ssim.py": [f"{METRICS}/test_psnr_ssim.py"],
    "mtd/metrics/lpips.py": [f"{METRICS}/test_lpips.py"],
    "mtd/metrics/lpips_backbone.py": [f"{METRICS}/test_lpips_backbone.py"],
    "mtd/noise/base.py": [
        f"{NOISE}/test_drawing.py",
        f"{NOISE}/test_synthetic.py",
        f"{NOISE}/test_matched.py",
    ],
    "mtd/noise/camera_pipeline.py": [f"{NOISE}/test_camera_pipeline.py"],
    "mtd/noise/drawing.py": [f"{NOISE}/test_drawing.py"],
    "mtd/noise/matched.py": [f"{NOISE}/test_matched.py"],
    "mtd/noise/mixture.py": [f"{NOISE}/test_mixture.py"],
    "mtd/noise/specs.py": [
        f"{NOISE}/test_matched.py",
        f"{NOISE}/test_synthetic.py",
        "tests/mtd/utils/test_plugins.py",
    ],
    "mtd/noise/synthetic.py": [f"{NOISE}/test_drawing.py", f"{NOISE}/test_synthetic.py"],
    "mtd/noise/training_noise.py": [f"{NOISE}/test_training_noise.py"],
    "mtd/masking.py": ["tests/mtd/test_masking.py"],
    "mtd/utils/counter_random.py": ["tests/mtd/utils/test_counter_random.py"],
}
