# Where Go comes from: the stack, a download of the vendor's, or the toolchain that the stack's Go fetches.

go_root=
go_version=

set_build_environment() {
  local name
  # All that an app can say to Go; other config vars are none of the build's business.
  for name in CGO_{CFLAGS,CPPFLAGS,CXXFLAGS,FFLAGS,LDFLAGS} GOFLAGS GOPROXY GOPRIVATE GONOPROXY GONOSUMDB GOSUMDB; do
    if [[ -n $(config "$name") ]]; then export "$name=$(config "$name")"; fi
  done
  export GOPATH=$CACHE/path GOCACHE=$CACHE/build GOMODCACHE=$CACHE/modules GOENV=off GOBIN=$BUILD/bin
  export GOTOOLCHAIN=local GOFLAGS="-modcacherw${GOFLAGS:+ $GOFLAGS}"
  unset GOROOT
}

provide_go() {
  local stack_go stack_version=
  stack_go=$(find_stack_go) && stack_version=$("$stack_go" env GOVERSION 2>/dev/null) && stack_version=${stack_version#go}
  if [[ -n $stack_version ]] && satisfied_by "$stack_version"; then
    go_root=$("$stack_go" env GOROOT) go_version=$stack_version
    line "Using Go $go_version of the stack"
  elif [[ -n $stack_version && -z ${STATOR_GO_MIRROR:-} ]] && toolbox satisfies "$stack_version" ">=1.21"; then
    provide_toolchain "$stack_go" "$stack_version"
  else
    go_root=$CACHE/go
    go_version=$(toolbox runtime go "$(version_range)" --cache "$CACHE/runtime" --into "$go_root")
    line "Using Go $go_version"
  fi
  export PATH=$go_root/bin:$BUILD/bin:$PATH
}

find_stack_go() {
  local place
  for place in "$(command -v go || :)" /usr/local/go/bin/go; do
    if [[ -x $place ]]; then
      printf '%s' "$place"
      return
    fi
  done
  return 1
}

satisfied_by() {
  if [[ -n $go_exact ]]; then [[ $1 == "$go_exact" ]]; else toolbox satisfies "$1" "$(version_range)"; fi
}

# Any Go since 1.21 can fetch another one as a module, and verifies it as it verifies modules.
provide_toolchain() {
  local stack_go=$1 all
  go_version=$go_exact
  if [[ -z $go_version ]]; then
    if all=$(cd / && "$stack_go" list -m -versions go); then
      go_version=$(tr ' ' '\n' <<<"$all" | grep -x "${go_line//./\\.}\.[0-9]*" | sort -V | tail -n 1 || :)
    else
      warn "The list of Go versions can't be read; what Go says of it stands above."
      go_version=$(cat -- "$CACHE/version" 2>/dev/null || :)
    fi
    [[ -n $go_version ]] && satisfied_by "$go_version" ||
      fail "There is no Go ${go_least:-$go_line}${all:+; the newest is ${all##* }}." \
        $'\nAn operator can install it on the machine, or set STATOR_GO_MIRROR.'
  fi
  line "Using Go $go_version, fetched and verified by Go $2 of the stack"
  export GOTOOLCHAIN=go$go_version
  must "$stack_go" version
  go_root=$("$stack_go" env GOROOT)
  export GOTOOLCHAIN=local
}

# Modules and compiled packages stay where Go has put them: in the cache, for one version of Go.
open_caches() {
  local signature="${STACK:-} $(uname -m) $go_version"
  if [[ ! -f $CACHE/signature ]]; then
    line "No cache yet."
  elif [[ $(<"$CACHE/signature") != "$signature" ]]; then
    rm -rf -- "$GOCACHE" "$CACHE/signature"
    line "Cache dropped: the stack or the version of Go has changed since."
  else
    line "Using modules and compiled packages from the cache"
  fi
}

close_caches() {
  printf '%s' "${STACK:-} $(uname -m) $go_version" >"$CACHE/signature"
  printf '%s' "$go_version" >"$CACHE/version"
}
