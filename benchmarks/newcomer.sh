#!/bin/bash
# Times what a newcomer does with the commands of README.md and docs/, in a fresh clone with an empty home folder:
# to a label, to features, to a model of their own classes, to a server that answers over HTTP.
#
#   bash benchmarks/newcomer.sh REPOSITORY FOLDER VIDEO CLASSES
#
# FOLDER is made; VIDEO is any video; CLASSES is a folder with one subfolder of videos per class.
set -euo pipefail
repository=$1 folder=$2 video=$(realpath "$3") classes=$(realpath "$4")
port=${PORT:-8899}
mkdir "$folder"
folder=$(realpath "$folder")
mkdir "$folder/home"
export HOME=$folder/home
unset PYTHONPATH VIRTUAL_ENV KINETICS_I3D_CACHE

seconds_of() { # a step's name, and its command; prints a row of a table
    local name=$1 begin=$SECONDS
    shift
    if ! "$@" >"$folder/step.log" 2>&1; then
        echo "failed: $*" >&2
        tail -n 20 "$folder/step.log" >&2
        exit 1
    fi
    echo "| $name | $((SECONDS - begin)) | $SECONDS |"
}

answer() { # waits for the server, as a client that tries again
    for _ in $(seq 120); do
        .venv/bin/python examples/serve_video.py "$video" --protocol v2 \
            --url "http://localhost:$port/v2/models/i3d" --spec served/models/i3d/1/assets/clip_spec.json && return
        sleep 1
    done
    return 1
}

echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg), $(date -u +%F)"
echo
echo "| step | seconds | since the start |"
echo "| --- | --- | --- |"
SECONDS=0
seconds_of "git clone" git clone --quiet "$repository" "$folder/clone"
cd "$folder/clone"
seconds_of "a label: make demo VIDEO=..., which builds .venv" make demo VIDEO="$video"
tail -n 5 "$folder/step.log" >&2
seconds_of "a second label" .venv/bin/kinetics-i3d classify "$video"
seconds_of "features" .venv/bin/kinetics-i3d features "$video" --output features
seconds_of "a model of $(ls "$classes" | wc -l) classes, $(find "$classes" -type f | wc -l) videos" \
    .venv/bin/kinetics-i3d train InceptionI3D --data "$classes" --output RUN --recipe finetune_kinetics
seconds_of "its accuracy on the held-out videos" \
    .venv/bin/kinetics-i3d evaluate RUN/videos.csv --split val --weights RUN/weights.h5
seconds_of "its export for a server" .venv/bin/kinetics-i3d export RUN/weights.h5 --to serving --output served
seconds_of "pip install mlserver" .venv/bin/pip install --quiet "mlserver>=1.7" tensorflow av
.venv/bin/python examples/mlserver/serve.py served/models/i3d/1 --port "$port" >"$folder/server.log" 2>&1 &
server=$!
trap 'kill $server' EXIT
seconds_of "an answer over HTTP" answer
tail -n 5 "$folder/step.log" >&2
