# Apps that Leiningen builds.

lein=          # the program
lein_in_slug=  # whether a dyno finds it only in the slug

choose_leiningen() {
  local minimum version program
  minimum=$(sed -n 's/^[^;]*:min-lein-version[[:space:]]*"\([0-9.]*\)".*/\1/p' project.clj | head -n 1)
  [[ -z $minimum || $minimum == 2.* ]] ||
    fail "project.clj: :min-lein-version is ${minimum@Q}. Only Leiningen 2 is there." \
      $'\nWrite, for example: :min-lein-version "2.0.0"'
  if [[ -x bin/lein ]]; then
    header "Using bin/lein of the app"
    lein=bin/lein
    return 0
  fi
  program=$(PATH=${STACK_PATH:-/usr/local/bin:/usr/bin:/bin} type -P lein || :)
  version=$(sed -n 's/^export LEIN_VERSION="\([0-9.]*\)".*/\1/p' "${program:-/dev/null}" | head -n 1)
  if [[ -n $version ]] && toolbox satisfies "$version" ">=${minimum:-2.0.0}"; then
    header "Using Leiningen $version of the stack"
    lein=$program
  else
    version=$(versions .leiningen.version)
    toolbox satisfies "$version" ">=${minimum:-2.0.0}" ||
      fail "project.clj: :min-lein-version is ${minimum@Q}, and there is $version here." \
        $'\nAn app that needs another one has it in bin/lein.'
    header "Using Leiningen $version"
  fi
}

provide_leiningen() {
  local folder=$BUILD/.heroku/clojure
  keep_home .m2
  [[ -z $lein ]] || return 0
  provide_archive leiningen standalone.jar
  mkdir -p -- "$folder"/{bin,lib}
  cp --reflink=auto -- "$archive" "$folder/lib/leiningen-standalone.jar"
  sed "s|@VERSION@|$(versions .leiningen.version)|" "$buildpack/lib/lein" >"$folder/bin/lein"
  chmod 755 "$folder/bin/lein"
  lein=$folder/bin/lein lein_in_slug=1
  export PATH=$folder/bin:$PATH
}

usual_leiningen_task() {
  if [[ -n $(uberjar_name) ]]; then echo uberjar; else echo "with-profile production compile :all"; fi
}

keep_leiningen_in_slug() {
  if [[ -z $(standalone_jar) ]]; then
    keep_libraries_in_slug .m2
  elif [[ -n $lein_in_slug ]]; then
    rm -rf -- .heroku/clojure
  fi
}
