# What the languages of the JVM have in common: which JDK, the build's settings, their tools, and the
# dyno. To be sourced after buildpack.sh.

jdk_home=     # where the build finds it
jdk_version=  # of the one that is used
jdk_wanted=   # 17 or 17.0.9; empty when the app does not say
jdk_vendor=   # zulu, when the app asks for it; else any of the stack's or Adoptium's
jdk_in_slug=  # whether it had to be put into the slug

# property NAME: a value of the app's system.properties.
property() {
  [[ -f system.properties ]] || return 0
  sed -n "s/^[[:space:]]*${1//./\\.}[[:space:]]*[=:][[:space:]]*//p" system.properties | tail -n 1 | tr -d '\r' | sed 's/[[:space:]]*$//'
}

# setting CONFIG_VAR PROPERTY [DEFAULT]: what the app says of its build: a config var, or a line of system.properties.
setting() {
  local value
  value=$(config "$1")
  [[ -n $value ]] || value=$(property "$2")
  printf '%s' "${value:-${3:-}}"
}

# ---- The JDK

choose_jdk() {
  local said
  said=$(property java.runtime.version)
  if [[ -n $said ]]; then
    [[ $said =~ ^((zulu|openjdk|temurin|heroku)-)?(1\.)?([0-9]+(\.[0-9]+)*(_[0-9]+)?)$ ]] ||
      fail "system.properties: java.runtime.version is ${said@Q}, which is no version of Java." \
        $'\nIt is a line as 21, one version as 21.0.4, or of another vendor: zulu-21'
    if [[ ${BASH_REMATCH[2]} == zulu ]]; then jdk_vendor=zulu; fi
    # 1.8.0_392 is 8.0.392
    jdk_wanted=${BASH_REMATCH[4]//_/.}
    header "Using Java $said specified in system.properties"
  fi
  find_stack_jdk
  if [[ -z $jdk_wanted && -n $jdk_version ]]; then
    header "No Java version was specified: using the stack's $jdk_version"
  elif [[ -z $jdk_wanted ]]; then
    jdk_wanted=$(jvm_versions .java.default)
    header "No Java version was specified: using the default, $jdk_wanted"
  fi
  if [[ -z $said ]]; then
    line "To choose one, commit a file system.properties: java.runtime.version=$(jvm_versions .java.default)"
  fi
  local release=${jdk_version:-$jdk_wanted}
  [[ -n $(jvm_versions ".java.supported[] | select(. == \"${release%%.*}\")") ]] ||
    warn "Java ${release%%.*} is not a supported release line ($(jvm_versions '.java.supported | join(", ")')): it may get no security fixes."
}

jvm_versions() { jq --raw-output "$1 // empty" "$buildpack/shared/jvm-versions.json"; }

# The newest of the stack's JDKs that will do. The app's own files can only be laid over one of its own.
find_stack_jdk() {
  local folder version range newest=
  [[ ! -d .jdk-overlay ]] || return 0
  for range in ${jdk_wanted:-$(jvm_versions '.java | [.default] + .supported | join(" ")')}; do
    for folder in "${STACK_JVM:-/usr/lib/jvm}"/*; do
      [[ -x $folder/bin/javac && -f $folder/release && ! -L $folder ]] || continue
      if [[ $jdk_vendor == zulu ]] && ! grep -q '^IMPLEMENTOR="Azul' "$folder/release"; then continue; fi
      version=$(sed -n 's/^JAVA_VERSION="\(1\.\)\?\(.*\)"$/\2/p' "$folder/release" | tr _ .)
      [[ $version. == "$range".* ]] || continue
      newest=$(printf '%s\n' "$newest" "$version" | sort -V | tail -n 1)
      if [[ $newest == "$version" ]]; then jdk_version=$version jdk_home=$folder; fi
    done
    [[ -z $jdk_home ]] || return 0
  done
}

provide_jdk() {
  if [[ -n $jdk_home ]]; then
    line "Using OpenJDK $jdk_version of the stack; nothing is put into the slug for it."
  else
    jdk_home=$BUILD/.jdk jdk_in_slug=1
    jdk_version=$(toolbox runtime "${jdk_vendor:-java}" "$jdk_wanted" --cache "$CACHE/runtime-${jdk_vendor:-java}" --into "$jdk_home")
    if [[ -d .jdk-overlay ]]; then
      line "Laying .jdk-overlay over it"
      cp -a .jdk-overlay/. "$jdk_home"
    fi
    # Sources and static libraries, which nothing needs that runs.
    rm -rf -- "$jdk_home"/{src.zip,lib/src.zip,demo,man}
  fi
}

# What every JVM of the build gets. Options for dynos would be wrong here: an agent may not be built yet.
set_jvm_environment() {
  local options="-Dfile.encoding=UTF-8 -Duser.home=$HOME" proxy name
  export JAVA_HOME=$jdk_home PATH=$jdk_home/bin:$PATH
  unset JAVA_OPTS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH
  # The JVM reads neither the operator's certificates nor his proxy from the places where other programs do.
  if [[ -n ${SSL_CERT_FILE:-} ]]; then
    toolbox truststore "$SSL_CERT_FILE" "$CACHE/truststore.jks"
    options+=" -Djavax.net.ssl.trustStore=$CACHE/truststore.jks -Djavax.net.ssl.trustStoreType=jks"
  fi
  for name in http https; do
    proxy=${name}_proxy
    proxy=${!proxy:-$(printenv "${name^^}_PROXY" || :)}
    if [[ $proxy =~ ^https?://([^/]*@)?([^/@:]+)(:([0-9]+))?/?$ ]]; then
      options+=" -D$name.proxyHost=${BASH_REMATCH[2]} -D$name.proxyPort=${BASH_REMATCH[4]:-80}"
    fi
  done
  proxy=${no_proxy:-${NO_PROXY:-}}
  if [[ $proxy =~ ^[A-Za-z0-9.,:*-]+$ ]]; then
    proxy=${proxy//,./|*.}
    options+=" -Dhttp.nonProxyHosts=${proxy//,/|}"
  fi
  export JAVA_TOOL_OPTIONS=$options
}

# ---- The tools: Maven, Gradle, sbt, Leiningen …

# keep_home FOLDER…: these folders of the home, where the tools keep what they have downloaded, stay in the
# cache; one that has grown too large, mostly by old versions, begins anew.
keep_home() {
  local folder kept megabytes
  for folder in "$@"; do
    kept=$CACHE/home/$folder
    if [[ -d $kept ]]; then
      megabytes=$(du -sm -- "$kept" | cut -f 1)
      if ((megabytes > 2048)); then
        rm -rf -- "$kept"
        line "~/$folder has grown to $megabytes MB and is dropped from the cache"
      else
        line "Using ~/$folder of earlier builds from the cache ($megabytes MB)"
      fi
    fi
    # Another buildpack may have made it a link to its own cache; a folder is nobody's to throw away.
    if [[ -L $HOME/$folder ]]; then rm -- "$HOME/$folder"; fi
    [[ ! -e $HOME/$folder ]] || continue
    mkdir -p -- "$kept" "$(dirname -- "$HOME/$folder")"
    ln -s -- "$kept" "$HOME/$folder"
  done
}

# provide_archive NAME FILE: the tool's file, of the version, address and SHA-256 that versions.json has; from
# the cache, or downloaded (STATOR_NAME_MIRROR is there instead of the part of the address before `//`).
provide_archive() {
  local name=$1 file=$2 version address base mirror sum
  version=$(versions ".$name.version") sum=$(versions ".$name.sha256")
  base=$(versions ".$name.address") mirror=STATOR_${name^^}_MIRROR
  mirror=${!mirror:-$base}
  address=${mirror%/}/$(versions ".$name.path")
  address=${address//VERSION/$version}
  archive=$CACHE/tools/$name-$version-$file
  if [[ -f $archive && $(sha256sum <"$archive") == "$sum "* ]]; then
    line "Using $name $version from the cache (SHA-256 verified)"
  else
    line "Downloading $name $version"
    mkdir -p -- "$CACHE/tools"
    toolbox download "$address" "$archive" "$sum" >/dev/null ||
      fail "$name $version can't be had. An operator can set STATOR_${name^^}_MIRROR."
    line "SHA-256 $sum verified"
  fi
}

# words NAME DEFAULT: a config var with options of a program, as an array `words`. Nothing in it is expanded.
words() {
  local text
  text=$(config "$1")
  read -r -d '' -a words <<<"${text:-$2}" || :
}

# build_with TITLE COMMAND…: runs the build itself, and says how long it took.
build_with() {
  local title=$1 started=$SECONDS status=0
  shift
  run "$@" || status=$?
  ((status == 0)) || fail "$title could not build the app (status $status); what it says of it stands above."
  line "$title was done after $((SECONDS - started)) s"
}

# ---- The dyno

write_jvm_profile() {
  local home=$jdk_home
  # shellcheck disable=SC2016 # in the dyno
  if [[ -n $jdk_in_slug ]]; then home='$HOME/.jdk'; fi
  mkdir -p .profile.d
  {
    cat -- "$buildpack/shared/profile/available-memory.sh"
    printf 'export JAVA_HOME="%s"\n' "$home"
    cat -- "$buildpack"/shared/profile/{jvm,jdbc}.sh
  } >.profile.d/jvm.sh
  write_export "export JAVA_HOME=$(quoted "$jdk_home")" "export PATH=$(quoted "$jdk_home/bin"):\"\$PATH\""
}
