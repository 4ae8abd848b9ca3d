# Apps that Maven builds.

maven=()          # the command
stack_maven=      # where the stack has it
maven_options=()

choose_maven() {
  local wanted
  if [[ -f mvnw && -f .mvn/wrapper/maven-wrapper.properties ]]; then
    header "Using the Maven wrapper of the app"
    return 0
  fi
  if [[ -f mvnw ]]; then
    warn "mvnw is not used, since there is no .mvn/wrapper/maven-wrapper.properties. Commit it, too: git add -f .mvn"
  fi
  wanted=$(property maven.version)
  if stack_maven=$(stack_has_maven "$wanted"); then
    header "Using Maven $(maven_version "$stack_maven") of the stack"
  elif [[ -z $wanted || $wanted == "$(versions .maven.version)" ]]; then
    header "Using Maven $(versions .maven.version)"
  else
    fail "system.properties: maven.version is ${wanted@Q}. There is $(versions .maven.version) here." \
      $'\nAn app that needs another one has it by the Maven wrapper: mvn wrapper:wrapper && git add -f mvnw .mvn'
  fi
}

# stack_has_maven VERSION: prints its folder, if that version is wanted or none.
stack_has_maven() {
  local program folder
  program=$(PATH=${STACK_PATH:-/usr/local/bin:/usr/bin:/bin} type -P mvn) || return 1
  folder=$(dirname -- "$(dirname -- "$(readlink -f -- "$program")")")
  [[ -d $folder/boot && ( -z $1 || $(maven_version "$folder") == "$1" ) ]] || return 1
  printf '%s' "$folder"
}

maven_version() {
  unzip -p "$1"/lib/maven-core-3*.jar META-INF/maven/org.apache.maven/maven-core/pom.properties | sed -n 's/^version=//p' | tr -d '\r'
}

provide_maven() {
  local home
  keep_home .m2
  if [[ -f mvnw && -f .mvn/wrapper/maven-wrapper.properties ]]; then
    chmod +x mvnw
    maven=(./mvnw)
  elif [[ -n $stack_maven ]]; then
    home=$(mktemp -d)
    mount_stack_maven "$stack_maven" "$home"
    maven=("$home/bin/mvn")
  else
    home=$CACHE/tools/maven
    provide_archive maven bin.tar.gz
    rm -rf -- "$home"
    toolbox unpack "$archive" "$home" 1
    maven=("$home/bin/mvn")
  fi
}

# Debian's Maven has its settings in /etc, which is not the app's to see, and does not start without them.
mount_stack_maven() {
  mkdir -p "$2/bin" "$2/conf/logging"
  ln -s "$1/lib" "$1/boot" "$2"
  cp "$1/bin/mvn" "$2/bin/mvn"
  cat >"$2/bin/m2.conf" <<'END'
main is org.apache.maven.cli.MavenCli from plexus.core
set maven.conf default ${maven.home}/conf
[plexus.core]
load ${maven.conf}/logging
optionally ${maven.home}/lib/ext/*.jar
load ${maven.home}/lib/*.jar
END
  printf 'org.slf4j.simpleLogger.%s\n' defaultLogLevel=info showThreadName=false showLogName=false levelInBrackets=true >"$2/conf/logging/simplelogger.properties"
}

build_by_maven() {
  local words goals
  choose_maven_settings
  export MAVEN_OPTS
  MAVEN_OPTS=$(config MAVEN_JAVA_OPTS "-Xmx1024m")" -Djansi.passthrough=true"
  words MAVEN_CUSTOM_OPTS -DskipTests
  maven_options+=("${words[@]}")
  words MAVEN_CUSTOM_GOALS "clean dependency:list install"
  goals=("${words[@]}")
  header "Building with Maven: ${goals[*]}"
  # What is downloaded is not told file by file.
  build_with Maven "${maven[@]}" -B -Dstyle.color=never -DoutputFile=target/mvn-dependency-list.log \
    -Dorg.slf4j.simpleLogger.log.org.apache.maven.cli.transfer.Slf4jMavenTransferListener=warn \
    "${maven_options[@]}" "${goals[@]}"
}

# Settings of the app's, or from an address that the operator or the app says.
choose_maven_settings() {
  local path address
  path=$(config MAVEN_SETTINGS_PATH) address=$(config MAVEN_SETTINGS_URL "${MAVEN_SETTINGS_URL:-}")
  if [[ -n $path ]]; then
    [[ -f $path ]] || fail "MAVEN_SETTINGS_PATH is ${path@Q}, and there is no such file in the app."
  elif [[ -n $address ]]; then
    path=$(mktemp)
    toolbox download "$address" "$path" >/dev/null || fail "The settings for Maven can't be fetched from MAVEN_SETTINGS_URL."
  elif [[ -f settings.xml ]]; then
    path=settings.xml
  fi
  if [[ -n $path ]]; then maven_options+=(-s "$path"); fi
}
