# Which Ruby: what the app says, the stack's own, or one that is downloaded.

ruby_home=  # where a Ruby of the app's own is, in the slug
wanted=     # a range, as npm reads it
stack_ruby= # the version of the stack's, when it will do

choose_ruby() {
  local said origin
  if said=$(below "RUBY VERSION") && [[ -n $said ]]; then
    origin="Gemfile.lock"
    [[ $said =~ ^ruby\ ([0-9]+\.[0-9]+\.[0-9]+) && $said != *\(* ]] ||
      fail "Gemfile.lock asks for ${said@Q}. Only Ruby itself is built in." \
        $'\nHeroku\'s own buildpack has JRuby: stator buildpacks:set https://github.com/heroku/heroku-buildpack-ruby'
    said=${BASH_REMATCH[1]}
  elif said=$(gemfile_ruby) && [[ -n $said ]]; then
    origin="Gemfile"
  elif said=$(ruby_version_file .ruby-version) && [[ -n $said ]]; then
    origin=".ruby-version"
  elif [[ -f $CACHE/ruby-version ]]; then
    said=$(<"$CACHE/ruby-version") origin="the last build; \`ruby\` in the Gemfile would say it for good"
  fi
  if [[ -n $said ]]; then
    wanted=$(npm_range "$said") || fail "$origin asks for Ruby ${said@Q}, which is no version as 3.3.9 or ~> 3.3."
    header "Using Ruby $said specified in $origin"
  fi
  find_stack_ruby
  if [[ -n $stack_ruby && -z $wanted ]]; then
    header "No Ruby version was specified: using the stack's $stack_ruby"
  elif [[ -z $wanted ]]; then
    wanted=$(versions .ruby.default)
    header "No Ruby version was specified: using the default, $wanted"
  fi
}

# What stands behind `ruby` in the Gemfile, without running it: "3.3.9", or "~> 3.3", "< 3.3.5".
gemfile_ruby() {
  local line
  line=$(sed -nE 's/^[[:space:]]*ruby[[:space:](]+(.*[^[:space:])])[[:space:])]*$/\1/p' Gemfile | sed 's/#.*//' | head -n 1)
  if [[ $line =~ file:[[:space:]]*[\"\']([^\"\']+) ]]; then
    ruby_version_file "${BASH_REMATCH[1]}"
  else
    grep -oE "^([\"'][^\"']*[\"'][,[:space:]]*)+" <<<"$line" | tr -d "\"'" | sed -E 's/[,[:space:]]+$//' || :
  fi
}

ruby_version_file() {
  [[ ! -f $1 ]] || sed -e 's/#.*//' -e 's/^ruby[- ]*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$1" | head -n 1
}

# Ruby's `~> 3.3` is anything below 4; npm's `~3.3` is not.
npm_range() {
  local part range=
  local -a parts
  IFS=, read -r -a parts <<<"$1"
  for part in "${parts[@]}"; do
    [[ $part =~ ^[[:space:]]*(\~\>|[\<\>]=?|=|)[[:space:]]*([0-9]+)(\.([0-9]+))?(\.([0-9]+))?[[:space:]]*$ ]] || return 1
    local operator=${BASH_REMATCH[1]} major=${BASH_REMATCH[2]} minor=${BASH_REMATCH[4]} patch=${BASH_REMATCH[6]}
    case $operator in
      "~>")
        range+=" >=$major.${minor:-0}.${patch:-0}"
        if [[ -n $patch ]]; then range+=" <$major.$((minor + 1)).0"; else range+=" <$((major + 1)).0.0"; fi
        ;;
      "" | "=") range+=" $major${minor:+.$minor}${patch:+.$patch}" ;;
      *) range+=" $operator$major.${minor:-0}.${patch:-0}" ;;
    esac
  done
  printf '%s' "${range# }"
}

# The stack's own Ruby, with Bundler, if it is in the range.
find_stack_ruby() {
  local version
  version=$(/usr/bin/env ruby -r bundler -e 'print RUBY_VERSION if RUBY_ENGINE == "ruby"' 2>/dev/null) || return 0
  if [[ -z $version ]] || { [[ -n $wanted ]] && ! toolbox satisfies "$version" "$wanted"; }; then return 0; fi
  stack_ruby=$version
}

set_build_environment() {
  ruby_home=$BUILD/.heroku/ruby
  export LANG=C.UTF-8 PATH=$ruby_home/bin:$PATH
  export RACK_ENV=${RACK_ENV:-production} RAILS_ENV=${RAILS_ENV:-production}
  export BUNDLE_GEMFILE=$BUILD/Gemfile BUNDLE_PATH=$BUILD/vendor/bundle BUNDLE_BIN=$BUILD/vendor/bundle/bin
  export BUNDLE_DEPLOYMENT=1 BUNDLE_GLOBAL_PATH_APPENDS_RUBY_SCOPE=1 BUNDLE_JOBS=4 BUNDLE_RETRY=3
  export BUNDLE_WITHOUT=${BUNDLE_WITHOUT:-development:test}
  unset RUBYOPT RUBYLIB GEM_HOME GEM_PATH
}

provide_ruby() {
  local version=$stack_ruby
  if [[ -n $version ]]; then
    line "Using Ruby $version of the stack; only the app's gems are put into the slug."
  else
    version=$(toolbox runtime ruby "$wanted" --cache "$CACHE/runtime" --into "$ruby_home")
    line "Using Ruby $version"
  fi
  ruby_version=$version
  printf '%s' "${version%.*}" >"$CACHE/ruby-version"
}
