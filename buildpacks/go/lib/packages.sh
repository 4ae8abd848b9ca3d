# What is built: the packages that somebody names, or all programs of the module.

packages=()
arguments=(-tags heroku -trimpath)

install_packages() {
  if [[ -f vendor/modules.txt ]]; then
    line "Using the dependencies in vendor"
    arguments+=(-mod=vendor)
  fi
  if [[ -n $(config GO_LINKER_SYMBOL) && -n $(config GO_LINKER_VALUE) ]]; then
    arguments+=(-ldflags "-X $(config GO_LINKER_SYMBOL)=$(config GO_LINKER_VALUE)")
  fi
  choose_packages
  header "Running: go install -v ${arguments[*]:0:2} ${packages[*]}"
  mkdir -p bin
  must go install -v "${arguments[@]}" "${packages[@]}"
}

choose_packages() {
  local spec
  spec=$(config GO_INSTALL_PACKAGE_SPEC "$(heroku_comment install)")
  if [[ -n $spec ]]; then
    read -r -a packages <<<"$spec"
    for spec in "${packages[@]}"; do
      [[ $spec != -* ]] || fail "What is to be installed must be packages; ${spec@Q} is none."
    done
    return
  fi
  header "Finding programs: no GO_INSTALL_PACKAGE_SPEC, and no \`// +heroku install\` in go.mod"
  spec=$(programs '{{.ImportPath}}' -find ./...) || fail "The packages of this module can't be listed; what Go says of it stands above."
  mapfile -t packages < <(grep . <<<"$spec" || :)
  if ((${#packages[@]} == 0)); then
    warn "No package main was found in this module, so there is no program to run."
    packages=(./...)
  fi
}

# programs FORMAT ARGUMENT…: a line for each package main.
programs() {
  go list "${arguments[@]:0:2}" -f "{{if eq .Name \"main\"}}$1{{end}}" "${@:2}"
}

# One program is the web process; of several, each is a process type of its own name.
write_procfile() {
  local program names=()
  [[ ! -f Procfile ]] || return 0
  while read -r program; do
    if [[ ${program##*/} =~ ^[A-Za-z0-9_-]+$ ]]; then names+=("${program##*/}"); fi
  done < <(programs '{{.Target}}' "${packages[@]}")
  case ${#names[@]} in
    0) ;;
    1) printf 'web: bin/%s\n' "${names[0]}" >Procfile ;;
    *) printf '%s\n' "${names[@]}" | sed 's/.*/&: bin\/&/' >Procfile ;;
  esac
  [[ ! -f Procfile ]] || line "No Procfile: using $(paste -sd ',' Procfile | sed 's/,/, /g')"
}
