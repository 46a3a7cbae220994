#!/usr/bin/env bash
# Makes reports/findings again: trainings (about ten hours on one core), analyzes, page.
# Finished steps are skipped; an interrupted training or analysis is continued.
#
#   bash reports/findings/remake.sh DATA STUDY
#
# DATA holds kodak24, cbsd68, bsds500_train, bsds500_test and mc_cbox: Mitsuba's Cornell box, path-traced
# with 16, 64, 128 and 2,048 samples per pixel, as cbox_16.png and so on (python -m mtd.render makes such files);
# the run folders are written into STUDY. The extra `test` installs scikit-image, which has the image of Figure 2.
# To train cells on several machines, run the line of the ablation there with --cell NAME.
# One thread each: a training is repeated bit for bit only with the same number of threads.
set -euo pipefail
data=${1:?a folder of photographs, see the head of this file}
study=${2:?a folder for the runs}
here=$(dirname "$0")
photographs=(--data "$data/bsds500_train" --data "$data/bsds500_test")
fast=(--set 'run.precision="bf16"' --set run.compile=true)
short=("${fast[@]}" --set run.steps=2000 --set 'optimizer.milestones=[1000,1500,1800]'
    --set run.save_every=500 --set validation.every=500)
mkdir -p "$study/models" "$study/tissue-data"

train() { # CONFIG FOLDER OPTIONS…: nothing if it is finished
    [ -f "$2/model.pth" ] || OMP_NUM_THREADS=1 python -m mtd.train "$1" --output-dir "$2" --resume --quiet "${@:3}"
}
analyze() { # ANALYSIS RUN OPTIONS…
    local resume=()
    [ ! -f "$study/$2/manifest.json" ] || resume=(--resume)
    python -m "analysis.$1" "${@:3}" --output-dir "$study/$2" ${resume[@]+"${resume[@]}"}
}

# Tables 1, 2 and 3a, Figure 7
OMP_NUM_THREADS=1 python -m mtd.train "$here/ablations.toml" --output-dir "$study/training/ablations" --resume \
    "${photographs[@]}" "${short[@]}"
# Figure 13: the pair's recipe, four times as long
long=("${fast[@]}" --set run.steps=40000 --set 'optimizer.milestones=[20000,30000,36000]'
    --set run.save_every=500 --set validation.every=1000)
train "$here/recipe.toml" "$study/training/masked" "${photographs[@]}" "${long[@]}"
train "$here/recipe.toml" "$study/training/baseline" --baseline "${photographs[@]}" "${long[@]}"
# Figure 11: a DnCNN of about the pair's size (84,000 parameters), trained in the same way
train dncnn.toml "$study/training/dncnn" "${photographs[@]}" "${fast[@]}" \
    --set network.depth=11 --set network.features=32 --set data.crop=48 --set run.batch_size=8 \
    --set run.steps=10000 --set 'optimizer.milestones=[5000,7500,9000]' \
    --set optimizer.learning_rate=1e-3 --set optimizer.ema=0.999 \
    --set run.save_every=500 --set validation.every=500
# The pair of Figures 1, 3, 11, 12, 14 and 15
usual=(--set run.steps=10000 --set 'optimizer.milestones=[5000,7500,9000]' --set validation.every=500)
train "$here/recipe.toml" "$study/training/pair-masked" "${photographs[@]}" "${usual[@]}"
train "$here/recipe.toml" "$study/training/pair-baseline" --baseline "${photographs[@]}" "${usual[@]}"
# Figure 2
python -c 'import sys
from PIL import Image
from skimage.data import immunohistochemistry
Image.fromarray(immunohistochemistry()).save(sys.argv[1])' "$study/tissue-data/immunohistochemistry.png"
train "$here/recipe.toml" "$study/training/tissue-masked" --data "$study/tissue-data" "${short[@]}"
train "$here/recipe.toml" "$study/training/tissue-baseline" --baseline --data "$study/tissue-data" "${short[@]}"

for run in "$study"/training/ablations/* "$study"/training/{dncnn,tissue-masked,tissue-baseline}; do
    cp "$run/model.pth" "$study/models/$(basename "$run").pth"
done
cp "$study/models/baseline.pth" "$study/models/photographs-baseline.pth"
cp "$study/models/input-75-85.pth" "$study/models/photographs-masked.pth"
mkdir -p "$study/models/pair"
for name in baseline masked; do cp "$study/training/pair-$name/model.pth" "$study/models/pair/$name.pth"; done
m=$study/models
pair=("$study"/models/pair/{baseline,masked}.pth)
cells=()
while read -r name; do cells+=("$m/$name.pth"); done < <(sed -n 's/^name = "\(.*\)"/\1/p' "$here/ablations.toml")

berkeley=(--images "$data/cbsd68" --crop 96 --crop-rule center --limit 68)
kodak=(--images "$data/kodak24" --crop 128 --crop-rule center --limit 24)
mixture=(--noise mixture:1 --noise mixture:2 --noise mixture:3 --noise mixture:4 --noise mixture:5)
analyze generalization ablations "${cells[@]}" "${berkeley[@]}" --noise gaussian:15 "${mixture[@]}" --no-lpips
analyze brightness brightness "$m"/{attention-only,input-only,input-80-90}.pth "${berkeley[@]}" \
    --noise gaussian:15 --noise mixture:3
analyze generalization levels "${pair[@]}" "$m/dncnn.pth" "${kodak[@]}" --suite paper --no-lpips
spp=()
for n in 16 64 128; do
    mkdir -p "$study/render/$n" "$study/render/clean"
    cp "$data/mc_cbox/cbox_$n.png" "$study/render/$n/cbox.png"
    spp+=(--paired-images "monte_carlo:$n=$study/render/$n" "$study/render/clean")
done
cp "$data/mc_cbox/cbox_2048.png" "$study/render/clean/cbox.png"
analyze generalization monte_carlo "${pair[@]}" "$m/dncnn.pth" "${spp[@]}" --crop 64 --no-lpips \
    --noise gaussian:15
# Figure 3; the simplest way to complete an image is run as a network
python -c 'import sys, torch; torch.save({"unused": torch.zeros(1)}, sys.argv[1])' "$m/nearest.pth"
for share in 80 90; do
    PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" analyze generalization completion_$share \
        "$study/models/pair/masked.pth" --model nearest:Nearest --checkpoint "$m/nearest.pth" "${kodak[@]}" \
        --noise gaussian:0 --input-mask 0.$share --no-lpips
done
tissue=("$m"/{photographs-baseline,photographs-masked,tissue-baseline,tissue-masked}.pth)
analyze generalization tissue "${tissue[@]}" "${kodak[@]}" --noise gaussian:15 --noise poisson:3 --no-lpips
analyze generalization tissue_hidden "${tissue[@]}" "${kodak[@]}" --noise gaussian:15 --input-mask 0.8 --no-lpips
analyze curves curves "$study/training/baseline" "$study/training/masked"
snapshots=()
for file in "$study"/training/masked/snapshot-*.pth; do
    snapshot=$m/masked-step-${file##*-}
    cp "$file" "$snapshot"
    snapshots+=("$snapshot")
done
cp "$study/training/masked/model.pth" "$m/masked-finished.pth"
snapshots+=("$m/masked-finished.pth")
analyze generalization snapshots_visible "${snapshots[@]}" "${kodak[@]}" --noise gaussian:15 --no-lpips
analyze generalization snapshots_hidden "${snapshots[@]}" "${kodak[@]}" --noise gaussian:15 --input-mask 0.8 --no-lpips
# SRGA of more than 300 patches, as its authors recommend
analyze report pair "${pair[@]}" --images "$data/kodak24" --max-crops srga=341 --no-lpips \
    --sections generalization,cka,srga,distributions
python -m analysis.findings "$study" --output-dir "$here"
for run in "$study"/training/ablations/* "$study"/training/{masked,baseline,pair-masked,pair-baseline,dncnn,tissue-masked,tissue-baseline}; do
    target=$here/${run#"$study/"}
    mkdir -p "$target"
    cp "$run"/{recipe.json,log.csv,validation.csv} "$target"
done
for name in masked baseline pair-masked pair-baseline dncnn; do
    cp "$study/training/$name/model.pth" "$here/training/$name"
done
