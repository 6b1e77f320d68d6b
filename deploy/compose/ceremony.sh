#!/bin/sh
# Once, before the first start: keys for the nodes named as arguments, and the election that names them.
set -eu
cd /var/lib/votenet
[ ! -e genesis.json ] || exit 0
cp /etc/votenet/election.toml election.toml
for name in "$@"; do
    votenet node init --name "$name" --data-dir "/var/lib/votenet/$name" --table >>election.toml
done
votenet election create election.toml -o genesis.json
