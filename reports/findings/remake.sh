#!/usr/bin/env bash
# Makes reports/findings again: trainings (about twelve hours on one core), analyses, page.
# Finished steps are skipped; an interrupted training or analysis is continued.
#
#   bash reports/findings/remake.sh DATA STUDY              # everything
#   bash reports/findings/remake.sh DATA STUDY SEED…        # only trainings of more seeds, such as 6 7
#
# DATA holds kodak24, cbsd68, bsds500_train, bsds500_test and mc_cbox: Mitsuba's Cornell box, path-traced
# with 16, 64, 128 and 2,048 samples per pixel, as cbox_16.png and so on (python -m mtd.render makes such files);
# the run folders are written into STUDY. The extra `test` installs scikit-image, which has the image of Figure 2.
# LPIPS needs AlexNet's convolutions, which docs/metrics.md says where to put; without them its column stays empty.
# With seeds, two cells of the ablation and the pair are trained with each, and join the scores kept beside this script.
# To train cells on several machines, run the line of the ablation there with --cell NAME.
# One thread each: a training is repeated bit for bit only with the same number of threads.
set -euo pipefail
data=${1:?a folder of photographs, see the head of this file}
study=${2:?a folder for the runs}
here=$(dirname "$0")
m=$study/models
photographs=(--data "$data/bsds500_train" --data "$data/bsds500_test")
fast=(--set 'run.precision="bf16"' --set run.compile=true)
short=("${fast[@]}" --set run.steps=2000 --set 'optimizer.milestones=[1000,1500,1800]'
    --set run.save_every=500 --set validation.every=500)
shorter=("${fast[@]}" --set run.steps=2500 --set 'optimizer.milestones=[1250,1875,2250]'
    --set run.save_every=500 --set validation.every=500)
berkeley=(--images "$data/cbsd68" --crop 96 --crop-rule center --limit 68 --no-references)
kodak=(--images "$data/kodak24" --crop 128 --crop-rule center --limit 24)
ablation=(--noise gaussian:15 --noise mixture:1 --noise mixture:2 --noise mixture:3 --noise mixture:4 --noise mixture:5)
# SRGA of more than 300 patches, as its authors recommend
report=(--images "$data/kodak24" --max-crops srga=341 --sections generalization,cka,srga,distributions)

train() { # CONFIG FOLDER OPTIONS…: nothing if it is finished
    [ -f "$2/model.pth" ] || OMP_NUM_THREADS=1 python -m mtd.train "$1" --output-dir "$2" --resume --quiet "${@:3}"
}
analyze() { # ANALYSIS RUN OPTIONS…: nothing if its scores were kept by an earlier page
    [ -z "$(find "$study/$2" -name '*.csv.gz' -print -quit 2> /dev/null)" ] || return 0
    local resume=()
    [ ! -f "$study/$2/manifest.json" ] || resume=(--resume)
    python -m "analysis.$1" "${@:3}" --output-dir "$study/$2" ${resume[@]+"${resume[@]}"}
}
copy() { # FILE TARGET
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2"
}

seeds_of_cells() { # SEED…: Tables 2 and 3a, Figures 2 and 7
    for seed in "$@"; do
        local runs=$study/training/ablations
        train "$here/recipe.toml" "$runs/input-75-85-seed$seed" "${photographs[@]}" "${short[@]}" --set run.seed="$seed"
        train "$here/recipe.toml" "$runs/baseline-seed$seed" --baseline "${photographs[@]}" "${short[@]}" \
            --set run.seed="$seed"
        copy "$runs/baseline-seed$seed/model.pth" "$m/seed$seed/cells/baseline.pth"
        copy "$runs/input-75-85-seed$seed/model.pth" "$m/seed$seed/cells/input-75-85.pth"
        copy "$runs/baseline-seed$seed/model.pth" "$m/seed$seed/tissue/photographs-baseline.pth"
        copy "$runs/input-75-85-seed$seed/model.pth" "$m/seed$seed/tissue/photographs-masked.pth"
        analyze generalization "ablations-seed$seed" "$m/seed$seed/cells"/*.pth "${berkeley[@]}" "${ablation[@]}"
        analyze generalization "tissue-seed$seed" "$m/seed$seed/tissue"/*.pth "${kodak[@]}" --no-references \
            --noise gaussian:15 --noise poisson:3
        analyze generalization "tissue_hidden-seed$seed" "$m/seed$seed/tissue"/*.pth "${kodak[@]}" --no-references \
            --noise gaussian:15 --input-mask 0.8
    done
}
seeds_of_pair() { # SEED…: Figures 1, 12, 13, 14 and 15
    for seed in "$@"; do
        local runs=$study/training/pair-seed$seed
        train "$here/recipe.toml" "$runs/masked" "${photographs[@]}" "${shorter[@]}" --set run.seed="$seed"
        train "$here/recipe.toml" "$runs/baseline" --baseline "${photographs[@]}" "${shorter[@]}" --set run.seed="$seed"
        for name in baseline masked; do copy "$runs/$name/model.pth" "$m/pair-seed$seed/$name.pth"; done
        analyze curves "curves-seed$seed" "$runs"/{baseline,masked}
        analyze report "pair-seed$seed" "$m/pair-seed$seed"/{baseline,masked}.pth "${report[@]}" --no-controls --no-references
    done
}
trainings() {
    # Tables 1, 2 and 3a, Figure 7
    OMP_NUM_THREADS=1 python -m mtd.train "$here/ablations.toml" --output-dir "$study/training/ablations" --resume \
        "${photographs[@]}" "${short[@]}"
    # Figure 13: the pair's recipe, four times as long
    local long=("${fast[@]}" --set run.steps=40000 --set 'optimizer.milestones=[20000,30000,36000]'
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
    local usual=(--set run.steps=10000 --set 'optimizer.milestones=[5000,7500,9000]' --set validation.every=500)
    train "$here/recipe.toml" "$study/training/pair-masked" "${photographs[@]}" "${usual[@]}"
    train "$here/recipe.toml" "$study/training/pair-baseline" --baseline "${photographs[@]}" "${usual[@]}"
    # Figure 2
    mkdir -p "$study/tissue-data"
    python -c 'import sys
from PIL import Image
from skimage.data import immunohistochemistry
Image.fromarray(immunohistochemistry()).save(sys.argv[1])' "$study/tissue-data/immunohistochemistry.png"
    train "$here/recipe.toml" "$study/training/tissue-masked" --data "$study/tissue-data" "${short[@]}"
    train "$here/recipe.toml" "$study/training/tissue-baseline" --baseline --data "$study/tissue-data" "${short[@]}"
}
models() {
    for run in "$study"/training/ablations/* "$study"/training/{dncnn,tissue-masked,tissue-baseline}; do
        [ ! -f "$run/model.pth" ] || copy "$run/model.pth" "$m/$(basename "$run").pth"
    done
    cp "$m/baseline.pth" "$m/photographs-baseline.pth"
    cp "$m/input-75-85.pth" "$m/photographs-masked.pth"
    for name in baseline masked; do
        copy "$study/training/pair-$name/model.pth" "$m/pair/$name.pth"
        copy "$study/training/$name/model.pth" "$m/pair_longer/$name.pth"
    done
}
analyses() {
    local pair=("$m"/pair/{baseline,masked}.pth) cells=() spp=() snapshots=()
    while read -r name; do cells+=("$m/$name.pth"); done < <(sed -n 's/^name = "\(.*\)"/\1/p' "$here/ablations.toml")
    analyze generalization ablations "${cells[@]}" "${berkeley[@]}" "${ablation[@]}"
    analyze brightness brightness "$m"/{attention-only,input-only,input-80-90}.pth \
        --images "$data/cbsd68" --crop 96 --crop-rule center --limit 68 --noise gaussian:15 --noise mixture:3
    analyze generalization levels "${pair[@]}" "$m/dncnn.pth" "${kodak[@]}" --suite paper
    for n in 16 64 128; do
        copy "$data/mc_cbox/cbox_$n.png" "$study/render/$n/cbox.png"
        spp+=(--paired-images "monte_carlo:$n=$study/render/$n" "$study/render/clean")
    done
    copy "$data/mc_cbox/cbox_2048.png" "$study/render/clean/cbox.png"
    analyze generalization monte_carlo "${pair[@]}" "$m/dncnn.pth" "${spp[@]}" --crop 64 --no-references \
        --noise gaussian:15
    # Figure 3; the simplest way to complete an image is run as a network
    python -c 'import sys, torch; torch.save({"unused": torch.zeros(1)}, sys.argv[1])' "$m/nearest.pth"
    for share in 80 90; do
        PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" analyze generalization completion_$share \
            "$m/pair/masked.pth" --model nearest:Nearest --checkpoint "$m/nearest.pth" "${kodak[@]}" --no-references \
            --noise gaussian:0 --input-mask 0.$share
    done
    local tissue=("$m"/{photographs-baseline,photographs-masked,tissue-baseline,tissue-masked}.pth)
    analyze generalization tissue "${tissue[@]}" "${kodak[@]}" --no-references --noise gaussian:15 --noise poisson:3
    analyze generalization tissue_hidden "${tissue[@]}" "${kodak[@]}" --no-references --noise gaussian:15 --input-mask 0.8
    analyze curves curves "$study/training/baseline" "$study/training/masked"
    for file in "$study"/training/masked/snapshot-*.pth; do
        cp "$file" "$m/masked-step-${file##*-}"
        snapshots+=("$m/masked-step-${file##*-}")
    done
    cp "$study/training/masked/model.pth" "$m/masked-finished.pth"
    snapshots+=("$m/masked-finished.pth")
    analyze generalization snapshots_visible "${snapshots[@]}" "${kodak[@]}" --no-references --noise gaussian:15
    analyze generalization snapshots_hidden "${snapshots[@]}" "${kodak[@]}" --no-references --noise gaussian:15 --input-mask 0.8
    analyze report pair "${pair[@]}" "${report[@]}"
    analyze report pair_longer "$m"/pair_longer/{baseline,masked}.pth "${report[@]}" --no-controls --no-references
}

mkdir -p "$m"
if [ $# -gt 2 ]; then
    cp -rn "$here/scores/." "$study"
    seeds_of_cells "${@:3}"
    seeds_of_pair "${@:3}"
else
    trainings
    models
    analyses
    seeds_of_cells 2 3 4
    seeds_of_pair 1 2 3 4 5
fi
python -m analysis.findings "$study" --output-dir "$here"
while read -r run; do
    target=$here/${run#"$study/"}
    for file in recipe.json log.csv validation.csv; do [ ! -f "$run/$file" ] || copy "$run/$file" "$target/$file"; done
done < <(find "$study/training" -name log.csv -exec dirname {} +)
for name in masked baseline pair-masked pair-baseline dncnn; do
    [ ! -f "$study/training/$name/model.pth" ] || cp "$study/training/$name/model.pth" "$here/training/$name"
done
