/** What `stator server --help` prints. */
export const serverHelp = `Run the platform: the API, git, builds and dynos, until SIGTERM. Dynos and the router go on.

=== Usage

  stator server [FLAGS]          (as root; with --runtime process: as an ordinary user)

=== Flags (and the variables that they win over)

  --data FOLDER      STATOR_DATA        where everything is kept [/var/lib/stator; ~/.stator when not root]
  --domain NAME      STATOR_DOMAIN      apps at APP.NAME, API at api.NAME, git at git.NAME [localhost]
  --http PORT        STATOR_HTTP_PORT   [80; 8080 when the domain is localhost; 0: any free one]
  --https PORT       STATOR_HTTPS_PORT  [443; none when the domain is localhost; 0: none]
  --host ADDRESS     STATOR_HOST        address to listen on [0.0.0.0; 127.0.0.1 when the domain is localhost]
  --runtime KIND     STATOR_RUNTIME     oci: containers; process: no isolation, for a laptop without Linux or root [oci]
  --stop-dynos                          on SIGTERM stop the dynos and the router too, and leave nothing behind

=== For builds (they reach every build and no dyno)

  STATOR_BUILD_CA_BUNDLE=FILE              certificates that builds trust
  STATOR_BUILD_ENV_NAME=VALUE              NAME=VALUE, as HTTPS_PROXY
  STATOR_NODE_MIRROR=URL                   where Node.js is fetched from
  STATOR_PYTHON_MIRROR=URL                 where Python is fetched from
  STATOR_JAVA_MIRROR=URL                   where Java is fetched from; also _ZULU_, _MAVEN_, _LEININGEN_, _CLOJURE_, _SBT_
  STATOR_GO_MIRROR=URL                     where Go is fetched from
  STATOR_RUBY_MIRROR=URL                   where Ruby is fetched from
  STATOR_BUILD_TIMEOUT=SECONDS             [900]
  STATOR_BUILD_CONCURRENCY=COUNT           so many builds at once, of all apps [2]
  STATOR_BUILD_CACHE_MEGABYTES=MEGABYTES   so much of each app is kept from one build to the next [2048]
  STATOR_IMAGE_DISK_MEGABYTES=MEGABYTES    what the images and layers of one app's Dockerfiles may take [10240]
  STATOR_BUILDPACK_MIRROR=URL              where names like heroku/ruby are fetched from, as URL/heroku/ruby.tgz
  STATOR_GITHUB_API=URL                    where buildpacks of https://github.com are asked for [https://api.github.com]
  STATOR_BUILDPACKS=KIND                   what heroku/NAME means: built-in, where there is one, or official [built-in]
  STATOR_BUILDPACK_PINS=WORD               required: buildpacks from git must name their commit [optional]

=== For git

  STATOR_GIT_REQUESTS_PER_HOUR=COUNT   of one account to one app; 0: as many as it likes [75]

=== For certificates (docs/domains.md)

  STATOR_ACME_DIRECTORY=URL      an ACME authority, or none [Let's Encrypt when the domain is a public one]
  STATOR_ACME_EMAIL=ADDRESS      for its account
  STATOR_ACME_CA_BUNDLE=FILE     certificates to trust for an authority of your own
  STATOR_ACME_DNS_HOOK=FILE      command that sets TXT records: for wildcards
  STATOR_ACME_DNS_SERVERS=LIST   ADDRESS or ADDRESS:PORT of DNS servers, with commas [the system's]
  STATOR_ACME_HTTP_PORT=PORT     where the authority asks for an answer [80]

=== For the API

  STATOR_API_REQUESTS_PER_HOUR=COUNT   of each account [4500]

=== For logs (of each app, whichever is less)

  STATOR_LOG_DAYS=DAYS              [7]
  STATOR_LOG_MEGABYTES=MEGABYTES    [64]

=== For dynos

  STATOR_BOOT_TIMEOUT=SECONDS            until a web dyno must listen on $PORT [60]
  STATOR_DYNO_DISK_MEGABYTES=MEGABYTES   what each may write to /app and /tmp [1024]
  STATOR_DYNO_DISK_SPEED=MEGABYTES       and how much a second, 0 for any [100]
  STATOR_RUSH=REQUESTS                   a second, to all apps: from so many on dynos that are asked have
                                         one processor more than all else (docs/dynos.md), 0 for never [10]`;
