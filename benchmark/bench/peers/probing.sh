#!/bin/sh
# The peers of `leveret bench probe`, each in an environment of its own: sh probing.sh FOLDER [heareval] [xares]
# PYTHON names the interpreter (3.11, which both peers run on).
set -eu

[ $# -ge 1 ] || { echo "usage: sh probing.sh FOLDER [heareval] [xares]" >&2; exit 2; }
folder=$1
shift
[ $# -ge 1 ] || set -- heareval xares
for peer in "$@"; do
    case $peer in heareval | xares) ;; *) echo "$peer: unknown; heareval, xares" >&2; exit 2 ;; esac
done
for peer in "$@"; do
    "${PYTHON:-python3.11}" -m venv "$folder/$peer"
    pip="$folder/$peer/bin/python -m pip install -q"
    if [ "$peer" = heareval ]; then
        # Its own pins are of 2021 and fit no Python of today; Lightning 1.9.5 is the last that it runs on.
        $pip torch==2.11.0 pytorch-lightning==1.9.5 torchinfo more-itertools pandas scikit-learn sed_eval dcase_util \
            intervaltree tqdm librosa 'setuptools<81' 'numpy<2'
        $pip --no-deps heareval==2021.1.3
    else
        $pip xares==0.1.3
    fi
done
