#!/bin/sh
# Once, before the first start: keys for the nodes named as arguments, and the election that names them. Each folder below is a
# volume: that of a node has its key, `election` what all may read.
set -eu
cd /var/lib/votenet
if [ ! -e genesis.json ]; then
    cp /etc/votenet/election.toml election.toml
    for name in "$@"; do
        votenet node init --name "$name" --data-dir "/var/lib/votenet/$name" --table >>election.toml
    done
    votenet election create election.toml -o genesis.json
fi
for file in roll.json genesis.json; do
    [ -e "$file" ] || continue
    cp "$file" election/new
    mv election/new "election/$file"
done
