# Apps that Gradle builds.

gradle=()

choose_gradle() {
  if [[ -f gradlew ]]; then
    [[ -f gradle/wrapper/gradle-wrapper.jar && -f gradle/wrapper/gradle-wrapper.properties ]] ||
      fail "gradlew needs gradle/wrapper/gradle-wrapper.jar and .properties, and they are not in the app." \
        $'\nOften a line *.jar in .gitignore keeps them out: git add -f gradle/wrapper'
    header "Using the Gradle wrapper of the app"
  elif has gradle; then
    header "Using Gradle of the stack"
    line "To choose a version, commit the wrapper: gradle wrapper && git add -f gradlew gradle/wrapper"
  else
    fail "The app has no gradlew, and the stack no Gradle." \
      $'\nCommit the wrapper: gradle wrapper && git add -f gradlew gradle/wrapper'
  fi
}

provide_gradle() {
  keep_home .gradle
  gradle=(gradle)
  if [[ -f gradlew ]]; then
    chmod +x gradlew
    gradle=(./gradlew)
  fi
  gradle+=(--no-daemon --console=plain)
  export GRADLE_OPTS=${GRADLE_OPTS:-"-Xmx1024m"}
}

build_by_gradle() {
  local words
  words GRADLE_TASK "$(usual_gradle_task)"
  header "Building with Gradle: ${words[*]}"
  build_with Gradle "${gradle[@]}" "${words[@]}"
  # Gradle's notes on what is up to date; they name the folder of this build.
  rm -rf -- .gradle
}

# The app's own task `stage`, or what makes a program with the framework that it uses.
usual_gradle_task() {
  if says stage && has_stage_task; then
    echo stage
  elif says 'org\.springframework\.boot|io\.quarkus'; then
    echo "build -x check"
  elif says 'io\.micronaut'; then
    echo "shadowJar -x check"
  elif says "io\\.ratpack|[\"'\`]application|id[ (]+application|^ *application$"; then
    echo "installDist -x check"
  else
    echo stage
  fi
}

says() { grep -q -s -E -- "$1" ./*.gradle ./*.gradle.kts gradle/*.toml; }

has_stage_task() { "${gradle[@]}" --quiet tasks --all </dev/null 2>/dev/null | grep -q -E '^stage( |$)'; }
