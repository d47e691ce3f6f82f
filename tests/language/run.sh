#!/bin/sh
# run.sh FRONT [--accept] — FRONT is the parser's test driver.
#   tests/language/good/*.lqft     parse without a message; the tree is *.ast where
#                                  that file exists
#   tests/errors/parse/*.lqft      give exactly the messages in *.expected
#   grammar/errors.md              every code has a page; its last program parses
# --accept writes the expectations from what the driver prints now.
front=$(realpath "${1:?usage: run.sh FRONT [--accept]}")
accept=$2
cd "$(dirname "$0")/../.." || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failed=0
count=0

fail() {
    failed=$((failed + 1))
    echo "FAIL $1"
}

for file in tests/language/good/*.lqft; do
    count=$((count + 1))
    "$front" --ast "$file" >"$work/out" 2>"$work/err" && [ ! -s "$work/err" ] || {
        fail "$file"
        cat "$work/err"
    }
    tree=${file%.lqft}.ast
    [ "$accept" ] && cp "$work/out" "$tree"
    [ ! -e "$tree" ] || diff -u "$tree" "$work/out" || fail "$tree"
done

for file in tests/errors/parse/*.lqft; do
    count=$((count + 1))
    "$front" "$file" >/dev/null 2>"$work/err"
    [ $? = 1 ] || fail "$file: status"
    [ "$accept" ] && cp "$work/err" "${file%.lqft}.expected"
    diff -u "${file%.lqft}.expected" "$work/err" || fail "$file"
done

# The program that ends a page of E01xx is the right one.
for code in $(sed -n 's/^X(\(E[0-9]*\),.*/\1/p' compiler/front/diag.def); do
    count=$((count + 1))
    title=$(sed -n "s/^X($code, \"\(.*\)\")/\1/p" compiler/front/diag.def)
    "$front" --explain "$code" >"$work/page"
    [ "$(head -1 "$work/page")" = "## $code $title" ] || fail "grammar/errors.md: page of $code"
    case $code in E01*) ;; *) continue ;; esac
    awk '/^    / { if (!inside) text = ""; inside = 1; text = text substr($0, 5) "\n"; next }
         /^$/ { if (inside) text = text "\n"; next }
         { inside = 0 } END { printf "%s", text }' "$work/page" >"$work/right.lqft"
    "$front" "$work/right.lqft" 2>"$work/err" || {
        fail "grammar/errors.md: last program of $code"
        cat "$work/err"
    }
done

echo "$count checked, $failed failed"
[ "$failed" = 0 ]
