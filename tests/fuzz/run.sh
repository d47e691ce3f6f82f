#!/bin/sh
# run.sh FUZZER FOLDER SECONDS SEEDS… — fuzzes from the files of the repository that are named;
# new inputs go to FOLDER, which is emptied first, and those that fail stay beside it.
fuzzer=$1 corpus=$2 seconds=$3
shift 3
cd "$(dirname "$0")/../.." || exit 2
rm -rf "$corpus" && mkdir -p "$corpus" || exit 2
exec "$fuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix="$corpus-" "$corpus" "$@"
