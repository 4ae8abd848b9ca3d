# What our buildpacks have in common; each finds this folder as `shared` beside its bin/:
#   source "${BASH_SOURCE[0]%/*}/../shared/buildpack.sh"
# Bash 5, jq, and `toolbox` of the platform (versions, downloads, archives) are there in every build.
# Nothing here prints a config var.

set -o errexit -o nounset -o pipefail
shopt -s inherit_errexit nullglob

buildpack=$(CDPATH='' cd -- "${BASH_SOURCE[1]%/*}/.." && pwd)

# ---- What the person who pushes sees: Heroku's arrows, seven spaces and exclamation marks

header() { printf -- '-----> %s\n' "$*"; }
line() { printf '       %s\n' "$*"; }
warn() { printf '%s\n' "$*" | sed -e 's/ *$//' -e 's/^/ !     /'; }
fail() {
  warn "$@"
  exit 1
}

# ---- The build: its folders and the app's config vars

# open_build BUILD CACHE [ENV]: sets BUILD, CACHE (this buildpack's own part) and ENVIRONMENT, and goes to BUILD.
open_build() {
  BUILD=$(CDPATH='' cd -- "$1" && pwd)
  CACHE=$2/${buildpack##*/}
  ENVIRONMENT=${3:-}
  mkdir -p -- "$CACHE"
  CACHE=$(CDPATH='' cd -- "$CACHE" && pwd)
  cd -- "$BUILD"
}

# config NAME [DEFAULT]: the value of one config var.
config() {
  local name=$1 default=${2:-}
  if [[ -n $ENVIRONMENT && -f $ENVIRONMENT/$name ]]; then
    cat -- "$ENVIRONMENT/$name"
  else
    printf '%s' "$default"
  fi
}

# export_config: makes the config vars variables of this build, but for those that would break it.
export_config() {
  local file name denied='^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LD_LIBRARY_PATH|LANG|BUILD_DIR|HOME|BASH_ENV|ENV|IFS|SHELLOPTS|BASHOPTS|PS4)$'
  [[ -n $ENVIRONMENT ]] || return 0
  for file in "$ENVIRONMENT"/*; do
    name=${file##*/}
    if [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ! $name =~ $denied ]] && ! readonly_name "$name"; then
      export "$name=$(cat -- "$file")"
    fi
  done
}

# Bash's own (UID, PPID …) cannot be set.
readonly_name() { [[ $(declare -p "$1" 2>/dev/null) =~ ^declare\ -[A-Za-z]*r ]]; }

# versions FILTER: looks something up in the buildpack's versions.json.
versions() { jq --raw-output "$1 // empty" "$buildpack/versions.json"; }

# ---- Programs

# run COMMAND…: shows what it prints, every line moved in; the status is the command's.
# It may have 900 of the 1024 processes of a build: one that forks without end must not bring down this
# shell too. What it leaves running in the background may not hold up the build.
run() {
  local status=0 out indenter tries
  exec {out}> >(exec sed -u 's/^/       /')
  indenter=$!
  (
    ulimit -u 900 2>/dev/null || :
    exec "$@"
  ) >&"$out" 2>&1 {out}>&- </dev/null || status=$?
  exec {out}>&-
  for ((tries = 0; tries < 200; tries++)); do
    kill -0 "$indenter" 2>/dev/null || return "$status"
    sleep 0.01
  done
  kill "$indenter" 2>/dev/null || :
  return "$status"
}

# must COMMAND…: the same, and the build fails when it fails.
must() {
  local status=0
  run "$@" || status=$?
  ((status == 0)) || fail "\`${1##*/} ${*:2}\` failed with status $status."
}

# run_hook FILE: a program of the app's own, when it is there.
run_hook() {
  [[ -f $1 ]] || return 0
  header "Running $1 hook"
  chmod +x "$1"
  must "./$1"
}

# has NAME: whether the build finds such a program.
has() { command -v -- "$1" >/dev/null 2>&1; }

# ---- The cache: folders of the app, kept for as long as a signature stays the same

# restore_cache SIGNATURE FOLDER…: brings folders of the app back; drops them when the signature has changed.
restore_cache() {
  local signature=$1 folder
  shift
  if [[ ! -f $CACHE/signature ]]; then
    line "No cache yet."
  elif [[ $(<"$CACHE/signature") != "$signature" ]]; then
    rm -rf -- "$CACHE/signature" "$CACHE/folders"
    line "Cache dropped: the stack, a version or the list of dependencies has changed since."
  else
    for folder in "$@"; do
      if [[ -e $CACHE/folders/$folder && ! -e $folder ]]; then
        mkdir -p -- "$(dirname -- "$folder")"
        cp -a --reflink=auto -- "$CACHE/folders/$folder" "$folder"
        line "Restored $folder from the cache"
      fi
    done
  fi
}

# save_cache SIGNATURE FOLDER…
save_cache() {
  local signature=$1 folder
  shift
  rm -rf -- "$CACHE/signature" "$CACHE/folders"
  for folder in "$@"; do
    [[ -e $folder ]] || continue
    mkdir -p -- "$(dirname -- "$CACHE/folders/$folder")"
    cp -a --reflink=auto -- "$folder" "$CACHE/folders/$folder"
  done
  printf '%s' "$signature" >"$CACHE/signature"
}

# hash_of FILE…: one word that changes when one of the files does; those that are not there count as empty.
hash_of() {
  local file
  for file in "$@"; do
    printf '%s\n' "$file"
    [[ ! -f $file ]] || cat -- "$file"
  done | sha256sum | cut -c 1-64
}

# ---- What is left for the dyno and for the next buildpack

# write_profile NAME: puts profile/NAME of the buildpack into the app, after what it asks of shared/profile.
write_profile() {
  local name=$1 shared
  shift
  mkdir -p .profile.d
  for shared in "$@"; do cat -- "$buildpack/shared/profile/$shared"; done >".profile.d/$name"
  cat -- "$buildpack/profile/$name" >>".profile.d/$name"
}

# write_export LINE…: what the next buildpack of this build sources.
write_export() { printf '%s\n' "$@" >"$buildpack/export"; }

# quoted TEXT: as a shell reads it back.
quoted() { printf '%q' "$1"; }
