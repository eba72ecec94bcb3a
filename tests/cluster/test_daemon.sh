#!/bin/sh
# How a daemon reads its configuration, refuses, starts, reloads and stops: test_daemon.sh [BIN]
set -eu
bin=${1:-bin}
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
unset MILLRACE_CONF

fail() { echo "test_daemon: $*" >&2; [ ! -s "$dir/err" ] || sed 's/^/  /' "$dir/err" >&2; exit 1; }

# expect STATUS TEXT ARGUMENT...: the NameNode exits so and says TEXT, on either stream.
expect() {
    want=$1 text=$2
    shift 2
    got=0
    "$bin/namenode" "$@" >"$dir/out" 2>"$dir/err" || got=$?
    [ "$got" = "$want" ] || fail "namenode $*: exit status $got, not $want"
    grep -qF -- "$text" "$dir/out" "$dir/err" || fail "namenode $*: does not say: $text"
}

# wait_for TEXT: until the log has it.
wait_for() {
    n=0
    until grep -qF -- "$1" "$dir/log"; do
        n=$((n + 1))
        [ $n -lt 200 ] || { cp "$dir/log" "$dir/err"; fail "never logged: $1"; }
        sleep 0.05
    done
}

expect 0 'namenode --config' --help
expect 0 'sqlite' --version
expect 2 "unrecognized option '--nonsense'" --nonsense
expect 2 '"word" is not an option' word
expect 2 'dfs.replicaton: unknown key; did you mean dfs.replication?' --set dfs.replicaton=2
expect 2 'dfs.replication: 0 is below the least value, 1' -D dfs.replication=0
expect 2 'is not of the form key=value' --set dfs.replication
expect 2 'No such file or directory' --config "$dir/none.conf"
expect 2 '--insecure' --set dfs.namenode.rpc-address=0.0.0.0:0
expect 2 'dfs.namenode.http-address' --set dfs.namenode.http-address=10.1.2.3:0
expect 2 'the port must be a number' --set dfs.namenode.rpc-address=127.0.0.1:http
expect 0 'dfs.namenode.rpc-address = 0.0.0.0:0  # --set' --set dfs.namenode.rpc-address=0.0.0.0:0 --insecure --print-config

cat >"$dir/bad.conf" <<'END'
dfs.replication = many
nothing
[nowhere]
dfs.blocksize = 1m
END
expect 2 "$dir/bad.conf:1: dfs.replication: \"many\" is not a whole number" --config "$dir/bad.conf" --check
expect 2 "$dir/bad.conf:2: neither" --config "$dir/bad.conf" --check
expect 2 "$dir/bad.conf:4: [nowhere]: unknown section" --config "$dir/bad.conf" --check

cat >"$dir/nn.conf" <<END
[namenode]
dfs.namenode.name.dir = $dir/name
dfs.namenode.rpc-address = 127.0.0.1:0
dfs.namenode.http-address = 127.0.0.1:0
dfs.replication = 2
END
expect 0 'configuration ok' --config "$dir/nn.conf" --check
expect 0 "dfs.replication = 2  # $dir/nn.conf:5" --config "$dir/nn.conf" --print-config

mkfifo "$dir/ready"
MILLRACE_CONF=$dir/nn.conf "$bin/namenode" --ready-fd 3 3>"$dir/ready" 2>"$dir/log" &
pid=$!
ready=$(cat "$dir/ready")
case $ready in
'{"rpc": "127.0.0.1:'*'", "http": "'*'"}') ;;
*) cp "$dir/log" "$dir/err"; fail "not what --ready-fd should say: $ready" ;;
esac

# A port that is taken.
port=${ready#*127.0.0.1:} port=${port%%\"*}
expect 1 "127.0.0.1:$port" --config "$dir/nn.conf" --set "dfs.namenode.name.dir=$dir/other" \
    --set "dfs.namenode.rpc-address=127.0.0.1:$port"

# A directory that is taken.
expect 1 "$dir/name" --config "$dir/nn.conf"

sed -i 's/^dfs.replication.*/dfs.replication = 1/' "$dir/nn.conf"
echo 'dfs.namenode.handler.count = 3' >>"$dir/nn.conf"
kill -HUP $pid
wait_for 'config_reloaded'
grep -q 'config_changed key=dfs.replication before="2" now="1"' "$dir/log" || fail 'the change was not taken'
grep -q 'config_needs_restart key=dfs.namenode.handler.count' "$dir/log" || fail 'the change was taken without a restart'
echo 'nonsense' >>"$dir/nn.conf"
kill -HUP $pid
wait_for 'config_reload_failed'

kill -TERM $pid
status=0
wait $pid || status=$?
pid=
[ "$status" = 0 ] || fail "exit status $status after SIGTERM"
grep -q 'stopped status=0' "$dir/log" || fail 'did not log its end'

# Every line of the sample is as it should be.
sample=${srcdir:-.}/conf/millrace.conf.sample
sed 's/^#\([a-z]\)/\1/' "$sample" >"$dir/sample.conf"
expect 0 'configuration ok' --config "$dir/sample.conf" --check
echo "test_daemon: ok"
