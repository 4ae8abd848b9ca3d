# The build itself: the app's own, or the usual one.
source "$buildpack/lib/process-type.sh"

set_clojure_environment() {
  export LEIN_NO_DEV=${LEIN_NO_DEV:-yes} RING_ENV=${RING_ENV:-production} LEIN_COLOR=false
}

build_app() {
  local words
  if [[ -x bin/build ]]; then
    header "Running bin/build"
    build_with bin/build bin/build
  elif [[ -n $(config BUILD_COMMAND) ]]; then
    header "Running BUILD_COMMAND"
    build_with BUILD_COMMAND bash -c "$(config BUILD_COMMAND)"
  elif [[ $tool == leiningen ]]; then
    words LEIN_BUILD_TASK "$(usual_leiningen_task)"
    header "Running: lein ${words[*]}"
    build_with Leiningen "$lein" "${words[@]}"
  else
    build_by_tools_deps
  fi
}

# What a dyno without an uberjar needs of the libraries.
keep_libraries_in_slug() {
  local folder
  for folder in "$@"; do
    [[ -d $CACHE/home/$folder ]] || continue
    rm -rf -- "$folder"
    cp -a --reflink=auto -- "$CACHE/home/$folder" "$folder"
  done
}
