#!/bin/sh
# The image applications of Wu & Goodman 2020 on real images, in one command: trains an encoder (SimCLR) on
# DUM_DATA/images/cifar10_train, fits `dum` on the directions of its projections, and on cifar10_test ranks images and
# views by certainty (Figures 1 to 3, docs/certainty.md) and looks whether corruptions are noticed (Table 1,
# docs/noise.md).
#
#   DUM_DATA=FOLDER examples/images.sh OUT [--epochs N] [--encoder FILE] [--certainty|--noise] [--delays] [--threads N]
#
# OUT: a folder; what is there already is not made again, and a training that was stopped goes on. --epochs: 48.
# --encoder: one that is trained already. --certainty, --noise: only this. --delays: with the noise, how soon a
# monitor would alarm (some minutes more). DUM: the tool, if not build/examples/dum.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
out='' epochs=48 encoder='' threads=0 certainty=yes noise=yes delays=no
while [ $# -gt 0 ]; do
    case $1 in
    --epochs | --encoder | --threads)
        [ $# -ge 2 ] || usage
        case $1 in --epochs) epochs=$2 ;; --encoder) encoder=$2 ;; --threads) threads=$2 ;; esac
        shift
        ;;
    --certainty) noise=no ;;
    --noise) certainty=no ;;
    --delays) delays=yes ;;
    -*) usage ;;
    *)
        [ -z "$out" ] || usage
        out=$1
        ;;
    esac
    shift
done
[ -n "$out" ] || usage
[ -n "${DUM_DATA:-}" ] || usage
dum=${DUM:-$here/build/examples/dum}
images=$DUM_DATA/images
mkdir -p "$out"

if [ -n "$encoder" ]; then
    cmp -s "$encoder" "$out/encoder.dum" || rm -f "$out/model.dum"
    cp "$encoder" "$out/encoder.dum"
fi
[ -e "$out/encoder.dum" ] ||
    "$dum" encoder "$images/cifar10_train/images.npy" --out "$out/encoder.dum" --threads "$threads" --seed 1 \
        --set depth=18 --set units=16 --set epochs="$epochs" --checkpoint "$out/checkpoint.dum" --resume
"$dum" evaluate "$out/encoder.dum" --threads "$threads" \
    --train "$images/cifar10_train/images.npy" --train-labels "$images/cifar10_train/labels.npy" \
    --test "$images/cifar10_test/images.npy" --test-labels "$images/cifar10_test/labels.npy"
# The contrastive loss compares directions of projections: their lengths nobody trained.
[ -e "$out/model.dum" ] ||
    "$dum" fit --data "$images/cifar10_train/images.npy" --encoder "$out/encoder.dum" --output projection \
        --set scaling=unit --model "$out/model.dum" --seed 1 --threads "$threads"

if [ $certainty = yes ]; then
    rm -rf "$out/certainty"
    "$dum" certainty "$out/model.dum" "$images/cifar10_test/images.npy" --labels "$images/cifar10_test/labels.npy" \
        --row 7 --views 200 --out "$out/certainty" --threads "$threads"
    cat "$out/certainty/summary.md"
fi

# The two halves of cifar10_test: the second is the row without corruption.
if [ $noise = yes ]; then
    python3 - "$images/cifar10_test/images.npy" "$out/a.npy" "$out/b.npy" <<'END'
import re
import struct
import sys

data = open(sys.argv[1], "rb").read()
start = 10 + struct.unpack("<H", data[8:10])[0]
shape = [int(n) for n in re.search(r"'shape': \(([\d, ]+)\)", data[10:start].decode()).group(1).split(",")]
rows, size = shape[0], (len(data) - start) // shape[0]
for path, first, last in ((sys.argv[2], 0, rows // 2), (sys.argv[3], rows // 2, rows)):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(last - first, *shape[1:])}, }}".ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        file.write(data[start + first * size:start + last * size])
END
    "$dum" noise "$out/model.dum" "$out/a.npy" "$out/b.npy" --threads "$threads" \
        --out "$out/noise.md" --out "$out/noise.json" --out "$out/noise.svg"
    cat "$out/noise.md"
    [ $delays = no ] ||
        "$dum" noise "$out/model.dum" "$out/a.npy" "$out/b.npy" --threads "$threads" \
            --delays "$out/delays.md" --delays "$out/delays.json" --delays "$out/delays.svg"
fi
