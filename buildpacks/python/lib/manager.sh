# Which package manager: the one whose lock file is there.

manager=
lock=

choose_manager() {
  local -A lock_of=([pip]=requirements.txt [pipenv]=Pipfile.lock [poetry]=poetry.lock [uv]=uv.lock)
  local name found=()
  for name in pip pipenv poetry uv; do
    if [[ -f ${lock_of[$name]} ]]; then found+=("$name"); fi
  done
  if [[ -f Pipfile && ! -f Pipfile.lock ]]; then
    fail "There is a Pipfile, but no Pipfile.lock, so the build would not be reproducible." \
      $'\nMake one and commit it: pipenv lock && git add Pipfile.lock'
  fi
  case ${#found[@]} in
    1) manager=${found[0]} lock=${lock_of[${found[0]}]} ;;
    0)
      fail "This app does not say which packages it needs. Commit one of these files:" \
        $'\nrequirements.txt (pip), Pipfile.lock (pipenv), poetry.lock (poetry) or uv.lock (uv).' \
        $'\nWithout any dependency an empty requirements.txt will do: touch requirements.txt'
      ;;
    *)
      local files=()
      for name in "${found[@]}"; do files+=("${lock_of[$name]}"); done
      fail "Files of several package managers were found: ${files[*]}." \
        $'\nKeep the one that your team uses and remove the rest, for example: git rm '"${files[0]}"
      ;;
  esac
}

# Package managers besides pip live in environments of their own, in the cache.
provide_manager() {
  local version tool
  version=$(versions ".$manager")
  tool=$CACHE/tools/$manager-$version-$(<"$python_home/version")
  if [[ ! -x $tool/bin/$manager ]]; then
    line "Installing $manager $version"
    rm -rf -- "$CACHE/tools"
    python3 -m venv "$tool.new" >/dev/null
    must "$tool.new/bin/python" -m pip install --quiet "$manager==$version"
    mv -- "$tool.new" "$tool"
    sed -i "1s|$tool.new/|$tool/|" "$tool"/bin/*
  else
    line "Using $manager $version from the cache"
  fi
  manager_program=$tool/bin/$manager
}
