# Apps that tools.deps builds, with the command `clojure`.

choose_tools_deps() {
  local wanted version
  version=$(versions .clojure.version)
  wanted=$(config CLOJURE_CLI_VERSION "$version")
  [[ $wanted == "$version" ]] ||
    fail "CLOJURE_CLI_VERSION is ${wanted@Q}, and there is $version here: stator config:unset CLOJURE_CLI_VERSION"
  header "Using the Clojure CLI $version"
}

provide_tools_deps() {
  local folder=$BUILD/.heroku/clojure unpacked
  keep_home .m2 .gitlibs
  provide_archive clojure tools.tar.gz
  unpacked=$(mktemp -d)
  toolbox unpack "$archive" "$unpacked" 1
  # As its installer lays it out, but found from where the program lies, which is elsewhere in the dyno.
  mkdir -p -- "$folder"/{bin,lib/libexec}
  cp -- "$unpacked"/{deps,example-deps,tools}.edn "$folder/lib"
  cp -- "$unpacked"/{exec,clojure-tools-*}.jar "$folder/lib/libexec"
  # shellcheck disable=SC2016 # of the other program
  sed 's|=PREFIX$|=$(CDPATH= cd -- "${BASH_SOURCE[0]%/*}/../lib" \&\& pwd)|' "$unpacked/clojure" >"$folder/bin/clojure"
  chmod 755 "$folder/bin/clojure"
  export PATH=$folder/bin:$PATH
}

build_by_tools_deps() {
  if [[ -f build.clj ]] && grep -q ':build' deps.edn; then
    header "Running: clojure -T:build uber"
    build_with "The Clojure CLI" clojure -T:build uber
  else
    header "Fetching the dependencies"
    build_with "The Clojure CLI" clojure -P
    if [[ $(web_command) == "clojure -M:run" ]]; then build_with "The Clojure CLI" clojure -P -M:run; fi
  fi
}

keep_tools_deps_in_slug() {
  if [[ -z $(standalone_jar) ]]; then
    keep_libraries_in_slug .m2 .gitlibs
  else
    rm -rf -- .heroku/clojure .cpcache
  fi
}
