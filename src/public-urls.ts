/** Where people and programs find what is served. */
export interface PublicUrls {
  /** `http://api.localhost:8080` */
  api: string;
  /** `http://git.localhost:8080/my-app.git` */
  git(app: { name: string }): string;
  /** `http://my-app.localhost:8080/` */
  web(app: { name: string }): string;
}

/** By HTTPS where there is a port for it. Pure. */
export function publicUrls(
  domain: string,
  { httpPort, httpsPort }: { httpPort: number | null; httpsPort: number | null },
): PublicUrls {
  const base = (host: string) => {
    const name = `${host}.${domain}`;
    if (httpsPort !== null) return `https://${name}${httpsPort === 443 ? "" : `:${httpsPort}`}`;
    return `http://${name}${httpPort === 80 ? "" : `:${httpPort}`}`;
  };
  return {
    api: base("api"),
    git: (app) => `${base("git")}/${app.name}.git`,
    web: (app) => `${base(app.name)}/`,
  };
}
