# Which Python: the app's wish, the stack's own, or one that is downloaded.

python_home= # where the app's Python is, in the slug
wanted=      # 3.13 or 3.13.2
stack_python= # the version of the stack's, when it will do

choose_python() {
  local origin
  if [[ -f runtime.txt ]]; then
    wanted=$(tr -d ' \r\n' <runtime.txt)
    [[ $wanted =~ ^python-(3\.[0-9]+(\.[0-9]+)?)$ ]] ||
      fail "runtime.txt says ${wanted@Q}, which is no version of Python." \
        $'\nReplace it by a file .python-version with one line, for example: '"$(versions .python.default)"
    wanted=${BASH_REMATCH[1]} origin="runtime.txt"
    warn "runtime.txt is deprecated. Replace it by a file .python-version with one line: $wanted"
  elif [[ -f .python-version ]]; then
    wanted=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' .python-version)
    [[ $wanted =~ ^3\.[0-9]+(\.[0-9]+)?$ ]] ||
      fail ".python-version must have one line with a version as 3.13 or 3.13.2; it says ${wanted@Q}."
    origin=".python-version"
  elif [[ -f Pipfile.lock ]] && wanted=$(pipfile_version) && [[ -n $wanted ]]; then
    [[ $wanted =~ ^3\.[0-9]+(\.[0-9]+)?$ ]] ||
      fail "Pipfile.lock asks for Python ${wanted@Q}, which is no version as 3.13 or 3.13.2."
    origin="Pipfile.lock"
  elif [[ -f $CACHE/python-version ]]; then
    wanted=$(<"$CACHE/python-version") origin="the last build; a file .python-version would say it for good"
  fi
  find_stack_python
  if [[ -n $wanted ]]; then
    header "Using Python $wanted specified in $origin"
  elif [[ -n $stack_python ]]; then
    header "No Python version was specified: using the stack's $stack_python"
  else
    wanted=$(versions .python.default)
    header "No Python version was specified: using the default, $wanted"
  fi
  local line=${stack_python:-$wanted}
  [[ $line =~ ^3\.[0-9]+ ]]
  line=${BASH_REMATCH[0]}
  [[ -n $(versions ".python.supported[] | select(. == \"$line\")") ]] ||
    warn "Python $line is not a supported release line ($(versions '.python.supported | join(", ")')): it may get no security fixes."
  return 0
}

pipfile_version() {
  jq --raw-output '._meta.requires | .python_full_version // .python_version // empty' Pipfile.lock 2>/dev/null ||
    fail "Pipfile.lock is not valid JSON. Make it again: pipenv lock"
}

# The stack's own Python, if it is in the range and can make an environment for the app.
find_stack_python() {
  local version
  version=$(/usr/bin/env python3 -c 'import ensurepip, venv, platform; print(platform.python_version())' 2>/dev/null) || return 0
  if [[ -n $wanted ]]; then
    toolbox satisfies "$version" "$wanted" || return 0
  else
    [[ -n $(versions ".python.supported[] | select(. as \$line | \"$version\" | startswith(\$line + \".\"))") ]] || return 0
  fi
  stack_python=$version
}

set_build_environment() {
  python_home=$BUILD/.heroku/python
  export PATH=$python_home/bin:$PATH LANG=C.UTF-8 PYTHONUNBUFFERED=1
  export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off PIP_NO_WARN_SCRIPT_LOCATION=1 PIP_ROOT_USER_ACTION=ignore
  export PIP_CACHE_DIR=$CACHE/pip UV_CACHE_DIR=$CACHE/uv POETRY_CACHE_DIR=$CACHE/poetry PIPENV_CACHE_DIR=$CACHE/pipenv
  # Compiled modules are checked by what is in their source, not by its date: archives have no dates.
  export SOURCE_DATE_EPOCH=1577836800 PYC_INVALIDATION_MODE=CHECKED_HASH
  unset PYTHONHOME PYTHONDONTWRITEBYTECODE
}

provide_python() {
  local version
  if [[ -n $stack_python ]]; then
    version=$stack_python
    line "Using Python $version of the stack; only the app's packages are put into the slug."
    if [[ ! -x $python_home/bin/python ]]; then python3 -m venv --without-pip "$python_home"; fi
  else
    local kept=
    if [[ -d $python_home/lib ]]; then kept=$(mktemp -d) && mv -- "$python_home" "$kept/python"; fi
    version=$(toolbox runtime python "$wanted" --cache "$CACHE/runtime" --into "$python_home")
    if [[ -n $kept && -f $kept/python/version && $(<"$kept/python/version") == "$version" ]]; then
      rm -rf -- "$python_home" && mv -- "$kept/python" "$python_home"
    fi
    [[ -e $python_home/bin/python ]] || ln -s python3 "$python_home/bin/python"
    line "Using Python $version"
  fi
  printf '%s' "$version" >"$python_home/version"
  printf '%s' "${version%.*}" >"$CACHE/python-version"
}

# The folder is another one in the dyno: programs find their Python by PATH.
relocate_programs() {
  local file
  for file in "$python_home"/bin/*; do
    if [[ -f $file && ! -L $file ]] && head -c 200 -- "$file" | grep -q -a -m 1 "^#!.*/\.heroku/python/"; then
      sed -i '1s|^#!.*/python[0-9.]*|#!/usr/bin/env python|' "$file"
    fi
  done
}

# What editable packages say of where they are leads to where the app will be.
relocate_links() {
  grep -r -l -Z -F --include='*.pth' --include='__editable__*' --include='*.egg-link' --include='direct_url.json' -- "$BUILD" \
    "$python_home"/lib 2>/dev/null | xargs -0 -r sed -i "s|$BUILD|$HOME|g" || :
}
