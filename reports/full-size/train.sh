#!/usr/bin/env bash
# Trains the full-size pair in slices, from a checkout in which nothing needs to be installed.
#
#   TRAIN_SECONDS=1500 bash reports/full-size/train.sh
#
# The same command again goes on from the saved states. Paths are relative to the checkout, wherever
# the script is called from.
#   TRAIN_SECONDS  seconds for everything, 80 or more: half for each network, all for the one that is not
#                  finished; unset: both are trained to the end
#   DEVICE         cuda if PyTorch sees a GPU, else cpu
#   PHOTOGRAPHS    an archive made by mtd.pack, or a folder: reports/full-size/photographs.zip;
#                  the same photographs in every slice
#   RUNS           folder of the run folders masked and baseline: reports/full-size/runs
#   RESULTS        folder to copy to what is worth keeping: NAME-state.pt, NAME.pth (the averaged weights)
#                  and NAME-logs.zip
#   FROM           such a folder, from which networks without a run folder go on; unset: RESULTS
#   STEPS          a run of so many steps, with a tenth of them, at most 1,000, as warm-up; other RUNS then
#   EXTRA          more options of mtd.train, such as "--set run.batch_size=32"
# Exit status: 0 if all went well, 2 for bad input, 130 after Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
photographs=${PHOTOGRAPHS:-reports/full-size/photographs.zip}
runs=${RUNS:-reports/full-size/runs}
from=${FROM:-${RESULTS-}}
reserve=6 # seconds for copying, and for the fractions that bash does not count
least=30  # seconds for a network; less is not worth starting Python
lowest=80 # seconds for both

fail() { # WORD...
    echo "error: $*" >&2
    exit 2
}
[[ ${TRAIN_SECONDS:-$lowest} =~ ^[1-9][0-9]{0,8}$ ]] && [ "${TRAIN_SECONDS:-$lowest}" -ge "$lowest" ] ||
    fail "TRAIN_SECONDS=$TRAIN_SECONDS: expected whole seconds, $lowest or more"
[[ ${STEPS:-1} =~ ^[1-9][0-9]*$ ]] || fail "STEPS=$STEPS: expected a whole number above 0"
[ -e "$photographs" ] || fail "PHOTOGRAPHS=$photographs: no such folder or file; make a file with" \
    "python3 -m mtd.pack FOLDER... $photographs"
[ -z "${FROM-}" ] || [ -d "$FROM" ] || fail "FROM=$FROM: no such folder"
if [ -n "${RESULTS-}" ]; then
    mkdir -p "$RESULTS" 2>/dev/null && [ -w "$RESULTS" ] || fail "RESULTS=$RESULTS: not a folder to write to"
fi
echo "The full-size pair, trained on $photographs, in $runs"
device=${DEVICE:-$(python3 -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')}
read -ra extra <<<"${EXTRA-}"
if [ -n "${STEPS-}" ]; then
    extra=(--set "run.steps=$STEPS" --set "optimizer.warmup=$((STEPS < 10000 ? STEPS / 10 : 1000))" ${extra[@]+"${extra[@]}"})
fi

finished() { [ -f "$runs/$1/model.pth" ]; } # NAME

restore() { # NAME: the run folder, from FROM
    local kept=$from/$1
    [ -n "$from" ] && [ ! -e "$runs/$1" ] && [ -f "$kept-state.pt" ] || return 0
    mkdir -p "$runs/$1"
    python3 -m zipfile -e "$kept-logs.zip" "$runs/$1"
    cp "$kept-state.pt" "$runs/$1/state.pt"
    echo "$1: goes on from $kept-state.pt"
}

keep() { # NAME: copy to RESULTS
    local run=$runs/$1 model=$runs/$1/model.pth
    [ -f "$model" ] || model=$run/average.pth
    [ -n "${RESULTS-}" ] && [ -f "$run/state.pt" ] || return 0
    cp "$run/state.pt" "$RESULTS/.$1-state.pt"
    mv "$RESULTS/.$1-state.pt" "$RESULTS/$1-state.pt"
    [ ! -f "$model" ] || cp "$model" "$RESULTS/$1.pth"
    python3 -m zipfile -c "$RESULTS/$1-logs.zip" "$run"/{recipe.json,log.csv,validation.csv,slices.csv}
}

status=0
train() { # NAME SHARE: train for one SHAREth of the time that is left
    local options=(full.toml --data "$photographs" --output-dir "$runs/$1" --device "$device" --resume)
    [ "$1" = masked ] || options+=(--baseline)
    if [ -n "${TRAIN_SECONDS-}" ]; then
        local seconds=$(((TRAIN_SECONDS - SECONDS - reserve) / $2))
        if [ "$seconds" -lt "$least" ]; then
            echo "$1: not started, as $seconds s are left for it, and $least are needed"
            return
        fi
        options+=(--seconds "$seconds")
    fi
    echo "$1:"
    python3 -m mtd.train "${options[@]}" ${extra[@]+"${extra[@]}"} || status=$?
}

for name in masked baseline; do restore "$name"; done
if ! finished masked; then train masked "$(finished baseline && echo 1 || echo 2)"; fi
if [ "$status" -eq 2 ] && [ ! -e "$runs/masked" ]; then exit 2; fi # bad input, of both
if [ "$status" -ne 130 ] && ! finished baseline; then train baseline 1; fi
if [ "$status" -eq 0 ] && finished baseline && ! finished masked; then train masked 1; fi
for name in masked baseline; do
    keep "$name"
    if finished "$name"; then echo "$name: finished, $runs/$name/model.pth"; fi
done
exit "$status"
