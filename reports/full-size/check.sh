#!/bin/bash
# Everything that should hold before a GPU is used for long, in under six minutes:
#   bash reports/full-size/check.sh
# RESULTS: folder of the results (reports/full-size/check); CHECK_SECONDS: the time for all (330);
# PHOTOGRAPHS: a folder, or a file of mtd.pack (reports/full-size/photographs.zip if it is there,
# else the bundled photographs); TOY=1: at toy size, as on a machine without a GPU. Relative paths
# are seen from the checkout. Exit status 1 if anything failed.
cd "$(dirname "$0")/../.." || exit 1
exec python3 reports/full-size/check.py
