# Apps that sbt builds.

sbt_version=
sbt=()       # the command
signature=

choose_sbt() {
  local range
  sbt_version=$(sed -n 's/^[[:space:]]*sbt\.version[[:space:]]*=[[:space:]]*//p' project/build.properties 2>/dev/null | tail -n 1 | tr -d '\r ' || :)
  [[ -n $sbt_version ]] ||
    fail "The app does not say which sbt builds it. Commit a file project/build.properties with one line:" \
      $'\nsbt.version='"$(versions .sbt.version)"
  range=${sbt_version%%-*}
  case $range in
    0.13.18) warn "sbt 0.13 gets no fixes any more. Move to sbt 1: project/build.properties, sbt.version=$(versions .sbt.version)" ;;
    1.* | 2.*) ;;
    *)
      fail "project/build.properties: sbt.version is ${sbt_version@Q}. There are 1.x, 2.x and, for a while yet, 0.13.18."
      ;;
  esac
  [[ $sbt_version =~ ^[A-Za-z0-9.+-]+$ ]] || fail "project/build.properties: ${sbt_version@Q} is no version of sbt."
  header "Using sbt $sbt_version specified in project/build.properties"
}

# The launcher, which fetches the sbt that the app wants.
provide_sbt() {
  local launcher=$CACHE/tools/sbt-launch.jar unpacked
  keep_home .sbt .ivy2 .cache/coursier
  provide_archive sbt dist.tgz
  unpacked=$(mktemp -d)
  toolbox unpack "$archive" "$unpacked" 1
  cp -- "$unpacked/bin/sbt-launch.jar" "$launcher"
  sbt=(java)
  read_sbt_options
  sbt+=(-Dsbt.color=false -Dsbt.supershell=false -Dsbt.log.noformat=true -jar "$launcher")
}

# What the app says of sbt's own JVM: .jvmopts, .sbtopts (-J…, -D…), SBT_OPTS. Else a heap of a build's size.
read_sbt_options() {
  local words word
  words_of .jvmopts
  sbt+=("${words[@]}")
  words_of .sbtopts
  for word in "${words[@]}"; do
    case $word in
      -J*) sbt+=("${word#-J}") ;;
      -D* | -X*) sbt+=("$word") ;;
    esac
  done
  words SBT_OPTS ""
  sbt+=("${words[@]}")
  [[ " ${sbt[*]}" == *" -Xmx"* ]] || sbt+=(-Xmx1500m)
  [[ " ${sbt[*]}" == *" -Xss"* ]] || sbt+=(-Xss4m)
}

# words_of FILE: the words of a file with comments, as `words`.
words_of() {
  words=()
  [[ ! -f $1 ]] || read -r -d '' -a words < <(sed 's/#.*//' "$1") || :
}

build_by_sbt() {
  local words project tasks
  project=$(setting SBT_PROJECT sbt.project)
  read -r -d '' -a tasks <<<"$(setting SBT_PRE_TASKS sbt.pre-tasks)" || :
  words SBT_TASKS "${project:+$project/}compile ${project:+$project/}stage"
  if [[ $(setting SBT_CLEAN sbt.clean) == true ]]; then tasks=(clean "${tasks[@]}"); fi
  tasks+=("${words[@]}")
  header "Running: sbt ${tasks[*]}"
  build_with sbt "${sbt[@]}" "${tasks[@]}"
}

# ---- What was compiled, for the next build; nothing of it is used when sbt or Java is another one

restore_compiled() {
  header "Restoring cache"
  signature="stack ${STACK:-}; sbt $sbt_version; java ${jdk_version%%.*}"
  restore_cache "$signature" target project/target project/project
}

save_compiled() {
  # What is packed is made anew each time.
  local packed
  packed=$(mktemp -d)
  if [[ -d target/universal ]]; then mv -- target/universal "$packed"; fi
  save_cache "$signature" target project/target project/project
  if [[ -d $packed/universal ]]; then mv -- "$packed/universal" target; fi
}

# A dyno needs what was packed, and nothing that it was packed from.
strip_slug() {
  if [[ -d target/universal/stage || -x target/start ]]; then
    rm -rf -- target/{scala-*,streams,out,global-logging,task-temp-directory,resolution-cache,bg-jobs}
    find target/universal -mindepth 1 -maxdepth 1 ! -name stage -exec rm -rf -- {} + 2>/dev/null || :
  fi
  rm -rf -- project/target project/project
}
