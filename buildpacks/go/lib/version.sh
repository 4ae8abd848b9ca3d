# Which Go: what a config var, a comment in go.mod or its go directive says.

go_line=  # 1.26
go_exact= # 1.26.3, when nothing else will do
go_least= # 1.26.3, when a newer one of its line will do too

require_modules() {
  [[ -f go.mod ]] || fail "This app keeps its dependencies as Go did before it had modules." \
    $'\nMake it a module and commit what that writes: go mod init && go mod tidy'
}

choose_version() {
  local wanted origin
  if [[ -n $(config GOVERSION) ]]; then
    wanted=$(config GOVERSION) origin="the config var GOVERSION"
  elif wanted=$(heroku_comment goVersion) && [[ -n $wanted ]]; then
    origin="go.mod (+heroku goVersion)"
  elif wanted=$(sed -nE 's/^go[[:space:]]+([^[:space:]]+).*/\1/p' go.mod) && [[ -n $wanted ]]; then
    origin="go.mod"
  else
    wanted=$(versions .go.default) origin=
  fi
  wanted=${wanted#go}
  [[ $wanted =~ ^(1\.[0-9]+)(\.[0-9]+|(rc|beta)[0-9]+)?$ ]] ||
    fail "$origin asks for Go ${wanted@Q}, which is no version as go$(versions .go.default) or go$(versions .go.default).1."
  go_line=${BASH_REMATCH[1]}
  if [[ $wanted != "$go_line" ]]; then
    # The go directive is the oldest Go that will do: the newest of its line has the security fixes.
    if [[ $origin == go.mod && $wanted != *[a-z]* ]]; then go_least=$wanted; else go_exact=$wanted; fi
  fi
  if [[ -n $origin ]]; then
    header "Using Go $wanted specified in $origin"
  else
    header "go.mod has no go directive: using the default, Go $wanted"
  fi
  [[ -n $(versions ".go.supported[] | select(. == \"$go_line\")") ]] ||
    warn "Go $go_line is not a supported release line ($(versions '.go.supported | join(", ")')): it gets no security fixes."
}

# heroku_comment WORD: what stands behind `// +heroku WORD` in go.mod.
heroku_comment() { sed -nE "s|^[[:space:]]*//[[:space:]]*\+heroku[[:space:]]+$1[[:space:]]+(.*[^[:space:]])[[:space:]]*$|\1|p" go.mod | head -n 1; }

# As npm reads ranges, for the toolbox.
version_range() { printf '%s' "${go_exact:-${go_least:+~}${go_least:-$go_line}}"; }
