# Go itself is not put into the slug, unless the app asks for it.

keep_tools() {
  if [[ $(config GO_INSTALL_TOOLS_IN_IMAGE) == true ]]; then
    line "Putting Go into the slug (GO_INSTALL_TOOLS_IN_IMAGE)"
    mkdir -p .heroku
    cp -a --reflink=auto -- "$go_root" .heroku/go
    chmod -R u+w .heroku/go
  fi
  if [[ $(config GO_SETUP_GOPATH_FOR_MODULE_CACHE) == true ]]; then
    line "Putting the module cache into the slug (GO_SETUP_GOPATH_FOR_MODULE_CACHE)"
    mkdir -p .heroku/gopath/pkg
    cp -a --reflink=auto -- "$GOMODCACHE" .heroku/gopath/pkg/mod
  fi
  write_profile go.sh
}
