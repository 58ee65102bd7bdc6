#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# docs/reliability/bad-input.md names a test for every row: each of them is there.

@test "every test that the table of bad input names exists" {
    page="$SOURCE_DIR/docs/reliability/bad-input.md"
    n=0
    # `FILE.bats`: "NAME", or `test_FILE`: `test_NAME`
    while IFS=: read -r file name; do
        n=$((n + 1))
        if [[ "$file" == *.bats ]]; then
            grep -qxF "@test \"$name\" {" "$SOURCE_DIR/tests/cli/$file" ||
                { echo "$file has no test \"$name\""; false; }
        else
            found=("$SOURCE_DIR"/tests/{unit,fault,golden}/"$file".c)
            grep -qE "(cmocka_unit_test[a-z_]*|TEST)\($name[,)]" "${found[@]}" 2>/dev/null ||
                { echo "$file has no test $name"; false; }
        fi
    done < <(grep -oE '`[a-z_0-9]+\.bats`: "[^"]+"|`test_[a-z_0-9]+`: `test_[a-z_0-9]+`' "$page" |
        sed 's/[`"]//g; s/: /:/')
    [ "$n" -ge 80 ]
    # every row of a table has one
    run grep -nE '^\| .* \|$' "$page"
    while IFS= read -r row; do
        [[ "$row" == *'.bats`: "'* || "$row" =~ \`test_[a-z_0-9]+\`:\ \`test_ || "$row" == *'| input | message'* ]] ||
            { echo "no test: $row"; false; }
    done <<<"$output"
}
