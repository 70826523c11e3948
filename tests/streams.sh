#!/usr/bin/env bash
# What each program does where stdout or stderr cannot be written to.
#   tests/streams.sh FOLDER    with the programs that were built there
set -u
wrong=0
error=$(mktemp) && trap 'rm -f "$error"' EXIT

# expect CODE TEXT COMMAND: the exit code, and what stderr says somewhere.
expect() {
  local code=$1 text=$2 got
  shift 2
  "$@" 2>"$error"
  got=$?
  if [[ $got != "$code" || $(<"$error") != *"$text"* ]]; then
    echo "wrong: ${*@Q}: exit $got for $code: $(<"$error")"
    wrong=1
  fi
}
full() { "$@" >/dev/full; }
closed() { "$@" >&-; }
unread() { "$@" > >(:); }  # perhaps before the reader is gone

cd "$1" || exit 1
programs=(zoo/likely-tool)
for program in zoo/vae bench/kernels bench/models; do [[ -x $program ]] && programs+=("$program"); done
for program in "${programs[@]}"; do
  expect 4 "cannot be written to stdout: No space left on device" full "$program" --help
  expect 4 "cannot be written to stdout: Bad file descriptor" closed "$program" --help
  expect 0 "" unread "$program" --help
  expect 1 "error: " full "$program" --no-such-option
done
results=("zoo/likely-tool data list" "zoo/likely-tool doctor" "zoo/likely-tool check-gradients relu" "zoo/vae plan")
[[ -x bench/kernels ]] && results+=("bench/kernels --filter softmax --rounds 1")
[[ -x bench/models ]] && results+=("bench/models --steps 1 --warmup 0")
for words in "${results[@]}"; do
  expect 4 "cannot be written to stdout: No space left on device" full $words
  expect 4 "cannot be written to stdout: Bad file descriptor" closed $words
done
expect 1 "" "zoo/likely-tool" nonsense
"zoo/likely-tool" nonsense 2>/dev/full
[[ $? == 1 ]] || { echo "wrong: a full disk behind stderr changes the exit code" && wrong=1; }
exit $wrong
