#!/bin/sh
# Stator from a checkout. `sh install.sh --help` tells what it does; test/run.sh uses `deps`.
set -eu

usage() {
  cat <<'END'
Usage: sh install.sh try [--once] [--port N] [--data DIR] [--domain D]

Installs what is missing, compiles Stator, starts it, deploys a sample app to it with git push, and
shows the app's answer. Ctrl-C stops all that it started. Needs root, git, curl and npm.

  --once       end after the answer
  --port N     HTTP port; 0: any free one (default 8080)
  --data DIR   where Stator keeps its data (default .stator, in the checkout)
  --domain D   apps are at APP.D (default localhost)
END
}

say() { printf '%s\n' "-----> $*"; }
complain() { printf ' ▸    %s\n' "$*" >&2; }
fail() {
  complain "$@"
  exit 1
}

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

work=      # this run's temporary folder
child=     # the step under way, leader of its process group
server=    # the server's process
server_status= # once it has ended
data=      # its data folder
log=       # its output, and how much of that is of earlier runs
log_before=0
refused=   # it never had the data folder, so nothing of it is ours
ending_well=

begin() {
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  trap 'interrupted 129' HUP
  trap 'exit 141' PIPE
  trap 'finish $?' EXIT
  work=$(mktemp -d "${TMPDIR:-/tmp}/stator-try.XXXXXX")
}

interrupted() {
  if [ -n "$ending_well" ]; then exit 0; fi
  exit "$1"
}

finish() {
  status=$1
  trap '' INT TERM HUP PIPE
  trap - EXIT
  if [ -n "$child" ]; then kill -TERM -- "-$child" 2>/dev/null || :; fi
  if [ -n "$held" ]; then rm -f -- "$policy"; fi
  if [ -n "$server" ] && [ -z "$refused" ]; then
    stop_server || status=1
  fi
  if [ -n "$work" ]; then rm -rf -- "$work"; fi
  exit "$status"
}

# Runs a command so that a signal can end it at once; a shell otherwise waits for it first.
step() {
  setsid "$@" </dev/null &
  child=$!
  step_status=0
  wait "$child" || step_status=$?
  child=
  return "$step_status"
}

# The same without a word, unless it fails.
quietly() {
  step "$@" >"$work/output" 2>&1 && return 0
  tail -n 30 "$work/output" >&2
  return 1
}

# ---- What Stator needs ----------------------------------------------------------------------------

# "PACKAGE COMMAND" for all that must be on the machine.
host_packages='git git
curl curl
conmon conmon
nftables nft
iproute2 ip
tini tini
util-linux setsid
e2fsprogs mke2fs
mount mount
tar tar
gzip gzip
xz-utils xz
zstd zstd
unzip unzip
file file
openssl openssl
buildah buildah
skopeo skopeo
umoci umoci
jq jq
python3 python3
make make
g++ g++
nginx nginx'

has() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
  printf '%s\n' "$host_packages" | while read -r package command; do
    has "$command" || printf '%s ' "$package"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || printf 'ca-certificates '
}

apt() {
  quietly env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

install_host_packages() {
  missing=$(missing_packages)
  if ! has runc && ! has crun; then missing="${missing}runc crun"; fi
  [ -n "$missing" ] || return 0
  has apt-get || fail "install these first, there is no apt-get here to do it: $missing"
  [ "$(id -u)" -eq 0 ] || fail "these packages are missing, and need root to be installed: $missing"
  say "Installing host packages: $missing"
  apt update || fail "apt-get update failed"
  wanted=
  for package in $missing; do
    # One of the two container runtimes is enough, and not every distribution has both.
    case $package in
      runc | crun) [ -n "$(apt-cache madison "$package" 2>/dev/null)" ] || continue ;;
    esac
    wanted="$wanted $package"
  done
  hold_services
  # shellcheck disable=SC2086 # a list of names
  apt install -y --no-install-recommends $wanted || fail "apt-get install failed"
  release_services "$wanted"
}

# Debian starts the servers that it installs, and nginx would take the port that Stator is to have: static
# sites need only its program.
policy=/usr/sbin/policy-rc.d
held=

hold_services() {
  if [ -e "$policy" ]; then return 0; fi
  held=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

release_services() {
  if [ -n "$held" ]; then rm -f -- "$policy"; fi
  held=
  case " $1 " in *' nginx '*) ! has systemctl || quietly systemctl disable nginx || : ;; esac
}

# Whether node_modules holds what package.json asks for, with a Bun that runs.
modules_fit() {
  [ -x node_modules/.bin/bun ] || return 1
  wanted=$(jq -r '.devDependencies.bun' package.json)
  [ "$(node_modules/.bin/bun --version 2>/dev/null)" = "$wanted" ] || return 1
  jq -r '.dependencies + .devDependencies | to_entries[] | "\(.key) \(.value)"' package.json |
    while read -r name version; do
      [ "$(jq -r .version "node_modules/$name/package.json" 2>/dev/null)" = "$version" ] || exit 1
    done
}

install_modules() {
  ! modules_fit || return 0
  has npm || fail "npm is missing: apt-get install -y npm, or Node.js from https://nodejs.org"
  say "Installing node modules, Bun among them"
  # No package's scripts are run, but for the one that puts Bun's binary in place.
  quietly npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error ||
    fail "npm install failed"
  quietly node node_modules/bun/install.js || fail "Bun could not be installed"
  modules_fit || fail "node_modules is not what package.json asks for, after npm install"
}

sources_hash() {
  find src buildpacks migrations package.json -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}

compile() {
  hash=$(sources_hash)
  if [ -x dist/stator ] && [ "$(cat dist/stator.sources 2>/dev/null)" = "$hash" ]; then return 0; fi
  say "Compiling dist/stator"
  # At another place first: a binary that runs cannot be written to.
  mkdir -p "dist/new.$$"
  quietly node_modules/.bin/bun src/bundle/binary.ts --outfile "dist/new.$$/stator" || {
    rm -rf "dist/new.$$"
    fail "the compiler failed"
  }
  mv -f "dist/new.$$/stator" dist/stator
  rmdir "dist/new.$$"
  printf '%s\n' "$hash" >dist/stator.sources
}

# ---- The server -----------------------------------------------------------------------------------

# What builds need behind a company's proxy or certificate authority, from what this shell has.
hand_on_build_settings() {
  bundle=${STATOR_BUILD_CA_BUNDLE:-${SSL_CERT_FILE:-${NODE_EXTRA_CA_CERTS:-}}}
  case $bundle in
    /*) [ ! -f "$bundle" ] || [ ! -r "$bundle" ] || export STATOR_BUILD_CA_BUNDLE="$bundle" ;;
  esac
}

log_of_this_run() { tail -c "+$((log_before + 1))" "$log"; }

fail_with_log() {
  complain "$@"
  complain "the end of $log:"
  # Without the excerpts of minified source that Bun shows above an error.
  log_of_this_run | grep -v '^ *[0-9]* | ' | tail -n 20 | cut -c 1-300 | sed 's/^/       /' >&2
  exit 1
}

start_server() {
  if [ ! -d "$data" ]; then mkdir -p -m 711 -- "$data"; fi
  data=$(cd -- "$data" && pwd)
  log=$data/server.log
  (umask 077 && : >>"$log")
  log_before=$(wc -c <"$log")
  setsid dist/stator server --data "$data" --http "$port" --https 0 --domain "$domain" --stop-dynos \
    </dev/null >>"$log" 2>&1 &
  server=$!
  tries=0
  until log_of_this_run | grep -q '^Stator serves '; do
    tries=$((tries + 1))
    if ! kill -0 "$server" 2>/dev/null; then
      await_server
      # Status 2: a setting is wrong, or the folder is another server's.
      if [ "$server_status" -eq 2 ]; then refused=yes; fi
      fail_with_log "stator server ended with status $server_status"
    fi
    [ "$tries" -lt 600 ] || fail_with_log "stator server does not get ready"
    sleep 0.1
  done
}

await_server() {
  [ -z "$server_status" ] || return 0
  ended=0
  # A signal ends this function here, with the status not yet known.
  wait "$server" || ended=$?
  server_status=$ended
}

stop_server() {
  if [ -n "$server_status" ]; then
    sweep
    return 1
  fi
  say "Stopping everything"
  kill -TERM "$server" 2>/dev/null || :
  tries=0
  while kill -0 "$server" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 450 ]; then
      complain "the server did not stop within 45 seconds"
      kill -KILL "$server" 2>/dev/null || :
    fi
    sleep 0.1
  done
  await_server
  sweep
  # 143: it was told to stop before it had begun to listen for that.
  case $server_status in 0 | 143) return 0 ;; esac
  complain "the server ended with status $server_status; $log may say why"
  return 1
}

# Removes what a server that crashed has left. After an orderly end there is nothing to find.
sweep() {
  instance=$(printf '%s' "$data" | sha256sum | cut -c 1-4)
  for process in /proc/[0-9]*; do
    case "$(tr '\0' ' ' 2>/dev/null <"$process/cmdline" || :)" in
      *" router --dir $data/router "*) kill -TERM "${process#/proc/}" 2>/dev/null || : ;;
    esac
  done
  find /sys/fs/cgroup -maxdepth 2 -type d -name "stator-$instance" 2>/dev/null |
    while read -r group; do
      find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r process; do
        kill -KILL "$process" 2>/dev/null || :
      done
      sleep 0.2
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
    done
  if [ -d "/run/stator/$instance" ]; then
    grep -o " /run/stator/$instance/[^ ]* " /proc/self/mountinfo | sort -r |
      while read -r mount; do umount --lazy "$mount" || :; done
    if ! grep -q " /run/stator/$instance/" /proc/self/mountinfo; then
      rm -rf -- "/run/stator/$instance"
    fi
  fi
  for address in /run/stator/addresses/*; do
    if grep -qs "^$instance " "$address"; then rm -f -- "$address"; fi
  done
  nft delete table inet "stator_$instance" 2>/dev/null || :
}

# ---- The sample app -------------------------------------------------------------------------------

# The token is in a file that only root may read, for curl and for git: never in arguments or output.
write_netrc() {
  mkdir "$work/home"
  (
    umask 077
    jq -r '. as $all | (.api, .git) | sub("^[a-z]+://"; "") | sub("[:/].*$"; "")
      | "machine \(.) login \($all.email) password \($all.token)"' \
      "$data/credentials.json" >"$work/home/.netrc"
  )
}

# Names below localhost are not known to every resolver, so these tools are told where they are.
address() {
  case ${STATOR_HOST:-0.0.0.0} in
    0.0.0.0 | ::) printf '127.0.0.1' ;;
    *) printf '%s' "$STATOR_HOST" ;;
  esac
}

request() {
  curl --silent --show-error --noproxy '*' --max-time 30 \
    --resolve "api.$domain:$port:$(address)" --resolve "$app.$domain:$port:$(address)" "$@"
}

api() {
  request --netrc-file "$work/home/.netrc" -H 'Accept: application/vnd.heroku+json; version=3' \
    -o "$work/answer" -w '%{http_code}' "$@"
}

is_deployed() {
  status=$(api "$api_url/apps/$app") || fail_with_log "the API at $api_url does not answer"
  case $status in
    200) [ "$(jq -r .slug_size "$work/answer")" != null ] ;;
    404) create_app && return 1 ;;
    *) fail_with_log "the API says $status: $(cat "$work/answer")" ;;
  esac
}

create_app() {
  say "Creating the app $app"
  status=$(api -X POST -H 'Content-Type: application/json' -d "{\"name\":\"$app\"}" "$api_url/apps")
  [ "$status" = 201 ] || fail_with_log "the API says $status: $(cat "$work/answer")"
}

plain_git() {
  step env HOME="$work/home" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 no_proxy='*' NO_PROXY='*' \
    GIT_AUTHOR_NAME=Stator GIT_AUTHOR_EMAIL=try@localhost \
    GIT_COMMITTER_NAME=Stator GIT_COMMITTER_EMAIL=try@localhost \
    git -C "$work/app" -c "http.curloptResolve=git.$domain:$port:$(address)" "$@"
}

push_sample() {
  cp -R test/fixtures/apps/plain-http "$work/app"
  rm -f "$work/app/expect.json"
  git_url=$(jq -r .git "$data/credentials.json")/$app.git
  plain_git init --quiet
  plain_git symbolic-ref HEAD refs/heads/main
  plain_git add --all
  plain_git commit --quiet --message 'A sample app'
  plain_git remote add stator "$git_url"
  say "git push stator main"
  plain_git push stator main || fail_with_log "git push failed"
}

# Prints the app's answer as soon as it gives one.
await_answer() {
  tries=0
  until [ "$(request -o "$work/body" -w '%{http_code}' "$1" || :)" -lt 500 ] 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail_with_log "$1 does not answer"
    kill -0 "$server" 2>/dev/null || fail_with_log "stator server ended"
    sleep 0.2
  done
  head -c 2000 "$work/body"
}

# ---- Verbs ----------------------------------------------------------------------------------------

try() {
  once=
  port=8080
  domain=localhost
  data=$checkout/.stator
  app=hello
  while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
      --once)
        once=yes
        continue
        ;;
      --help)
        usage
        exit 0
        ;;
      --*=*)
        value=${option#*=}
        option=${option%%=*}
        ;;
      *)
        [ $# -gt 0 ] || wrong "$option needs a value, or is unknown"
        value=$1
        shift
        ;;
    esac
    case $option in
      --port) port=$value ;;
      --data) data=$value ;;
      --domain) domain=$value ;;
      *) wrong "$option is unknown" ;;
    esac
  done
  case $data in
    '') wrong "--data needs a folder" ;;
    /*) ;;
    *) data=$PWD/$data ;;
  esac
  [ "$(id -u)" -eq 0 ] || fail "Stator makes containers, and needs root for it: sudo sh install.sh try"
  cd -- "$checkout"
  begin
  install_host_packages
  install_modules
  compile
  hand_on_build_settings
  say "Starting Stator, data in $data"
  start_server
  api_url=$(jq -r .api "$data/credentials.json")
  # The port that the server has found, or none when it is the usual one.
  case ${api_url#*://} in
    *:*) port=${api_url##*:} ;;
    *) port=80 ;;
  esac
  write_netrc
  if ! is_deployed; then push_sample; fi
  url=$(printf '%s' "$api_url" | sed "s#//api\\.#//$app.#")/
  printf '\n%s\n' "$url"
  await_answer "$url"
  printf '\n'
  ending_well=yes
  [ -z "$once" ] || exit 0
  say "Ctrl-C stops it"
  await_server
  ending_well=
  fail_with_log "stator server ended with status $server_status"
}

wrong() {
  complain "$@"
  usage >&2
  exit 2
}

verb=${1:---help}
[ $# -eq 0 ] || shift
case $verb in
  try) try "$@" ;;
  deps)
    cd -- "$checkout"
    begin
    install_host_packages
    install_modules
    ;;
  --help | -h | help) usage ;;
  *) wrong "$verb is unknown" ;;
esac
