"""The tests mirror the packages: tests/mtd, tests/analysis; what they share is in tests/helpers."""
